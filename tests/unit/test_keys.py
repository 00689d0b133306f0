"""Keys are made once, whole, and for their owner alone."""

from __future__ import annotations

from firmware.cli import main
from firmware.wire.sign import load_key


def test_a_key_that_was_made_can_be_loaded_and_is_nobody_elses(tmp_path):
    assert main(["keys", str(tmp_path / "panel.key"), str(tmp_path / "110.key")]) == 0
    keys = {load_key(tmp_path / name) for name in ("panel.key", "110.key")}
    assert len(keys) == 2
    assert (tmp_path / "panel.key").stat().st_mode & 0o777 == 0o600


def test_an_old_key_is_never_overwritten(tmp_path, capsys):
    main(["keys", str(tmp_path / "panel.key")])
    before = load_key(tmp_path / "panel.key")
    assert main(["keys", str(tmp_path / "panel.key"), str(tmp_path / "new.key")]) == 1
    assert load_key(tmp_path / "panel.key") == before
    assert load_key(tmp_path / "new.key")
    assert "is there already and was kept" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_told(tmp_path, capsys):
    assert main(["keys", str(tmp_path / "none" / "panel.key")]) == 1
    assert "No such file or directory" in capsys.readouterr().err
