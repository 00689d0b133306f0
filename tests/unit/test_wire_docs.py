"""The documents of the wire say what the code does: examples, signatures, topics, limits, schemas."""

import json
import pathlib
import re

import jsonschema
import pytest
import yaml
from rigs import schema

from firmware.adapters.mqtt_client import PACKET_MAX
from firmware.core.codes import CODES, ReportClass
from firmware.core.report import RECEIVER_STEPS, SEQ_MAX, ReportId
from firmware.wire import command, fields, health, media, receipt, report, topics
from firmware.wire.sign import verify

DOCS = schema.SCHEMAS.parent
PAGE = (DOCS / "mqtt-api.md").read_text(encoding="utf-8")
API = yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))
EXAMPLES = re.findall(r"<!-- ([a-z-]+) -->\n```json\n(.*?)```", PAGE, re.DOTALL)
PANEL_KEY, RECEIVER_KEY = bytes(range(32)), bytes(range(32, 64))
FROM_RECEIVER = {"receipt", "command", "echo", "evidence-receipt"}
INCIDENT = ReportId("P", 1, 2)
TOPICS = {
    "report": topics.report("P", ReportClass.ALARM).replace("alarm", "{class}"),
    "receipt": topics.receipt("P", "{receiver}"),
    "command": topics.command("P", "{receiver}"),
    "result": topics.result("P", "{receiver}"),
    "health": topics.health("P"),
    "beat": topics.beat("P"),
    "echo": topics.echo("P", "{receiver}"),
    "live": topics.live_audio(INCIDENT).replace("1-2", "{incident}"),
    "evidence": topics.evidence(INCIDENT, "{name}").replace("1-2", "{incident}"),
    "evidence-receipt": topics.evidence_receipt("P", "{receiver}"),
}


def props(kind: str) -> dict:
    return schema.schema(kind)["properties"]


def test_every_kind_of_payload_has_an_example():
    assert {kind for kind, _ in EXAMPLES} == set(TOPICS) - {"live"}


@pytest.mark.parametrize(("kind", "text"), EXAMPLES, ids=[kind for kind, _ in EXAMPLES])
def test_an_example_keeps_its_schema_and_its_signature(kind, text):
    body = json.loads(text)
    schema.check(kind, body)
    verify(body, RECEIVER_KEY if kind in FROM_RECEIVER else PANEL_KEY)


def test_the_page_s_python_reckons_the_signature_of_its_own_example():
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    payload = EXAMPLES[0][1]
    names: dict = {"payload": payload, "key": PANEL_KEY}
    exec("import hmac, json\n" + code, names)
    assert names["mac"] == json.loads(payload)["mac"]


def test_the_page_names_every_topic():
    kinds = "report|receipt|command|result|health|beat|echo|live|evidence"
    named = set(re.findall(rf"`((?:{kinds})[^` ]*)`", PAGE.split("## Rules")[0]))
    page = {
        re.sub(r"^report/.*", "report/{class}", topic)
        .replace("RECEIVER", "{receiver}")
        .replace("EPOCH-SEQ", "{incident}")
        .replace("NAME", "{name}")
        for topic in named
    }
    code = {topic.removeprefix("gatebooth/v1/P/") for topic in TOPICS.values()}
    assert code <= page


def test_asyncapi_has_the_topics_of_the_code():
    addresses = {name: channel["address"].replace("{panel}", "P") for name, channel in API["channels"].items()}
    assert addresses == TOPICS


def test_asyncapi_describes_every_parameter_and_every_reference_leads_somewhere():
    for channel in API["channels"].values():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel["parameters"])
    for target in re.findall(r'\$ref: "([^"]+)"', (DOCS / "asyncapi.yaml").read_text(encoding="utf-8")):
        if target.startswith("#/"):
            found = API
            for level in target[2:].split("/"):
                found = found[level]
        else:
            assert (DOCS / target).is_file(), target


def test_asyncapi_says_who_sends_what_and_how():
    said = {
        operation["channel"]["$ref"].rpartition("/")[2]: (
            operation["action"],
            operation["bindings"]["mqtt"]["qos"],
            operation["bindings"]["mqtt"]["retain"],
        )
        for operation in API["operations"].values()
    }
    assert said == {
        "report": ("send", 1, False),
        "receipt": ("receive", 1, False),
        "command": ("receive", 1, False),
        "health": ("send", 1, True),
        "beat": ("send", 1, False),
        "echo": ("receive", 1, False),
        "live": ("send", 0, False),
        "evidence": ("send", 1, False),
        "evidence-receipt": ("receive", 1, False),
    }
    assert API["servers"]["broker"]["bindings"]["mqtt"]["maximumPacketSize"] == PACKET_MAX
    schema.check("health", json.loads(API["servers"]["broker"]["bindings"]["mqtt"]["lastWill"]["message"]))


@pytest.mark.parametrize("path", sorted(schema.SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_every_schema_is_one_and_describes_each_property(path: pathlib.Path):
    found = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(found)
    assert found["$id"].endswith(f"/v1/{path.name}")
    for name, part in found.get("properties", {}).items():
        assert "description" in part or "$ref" in part, name


def test_the_schemas_limits_are_the_code_s():
    common = schema.schema("common")["definitions"]
    assert common["count"]["maximum"] == SEQ_MAX
    assert common["panel"]["pattern"] == f"^{fields.PANEL_PATTERN.pattern}$"
    assert common["name"]["pattern"] == f"^{fields.NAME_PATTERN.pattern}$"
    site = props("report")["site"]["properties"]
    assert site["name"]["maxLength"] == site["address"]["maxLength"] == report.TEXT_MAX
    detail = props("report")["detail"]
    assert detail["maxProperties"] == report.DETAIL_ITEMS_MAX
    assert detail["additionalProperties"]["oneOf"][0]["maxLength"] == report.DETAIL_TEXT_MAX
    assert props("report")["class"]["enum"] == [cls.value for cls in ReportClass]
    assert props("receipt")["step"]["enum"] == [step.value for step in RECEIVER_STEPS]
    assert props("receipt")["person"]["maxLength"] == receipt.PERSON_MAX
    assert props("command")["command"]["pattern"] == f"^{command.COMMAND_ID.pattern}$"
    assert props("command")["actor"]["maxLength"] == command.ACTOR_MAX
    assert props("command")["reason"]["maxLength"] == command.REASON_MAX
    assert props("result")["text"]["maxLength"] == command.TEXT_MAX
    assert props("health")["troubles"]["maxItems"] == health.TROUBLES_MAX
    assert props("health")["troubles"]["items"]["maxLength"] == health.TROUBLE_TEXT_MAX
    assert props("evidence")["kind"]["enum"] == list(media.KINDS)
    assert props("evidence")["length"]["maximum"] == media.CHUNK_MAX
    assert props("evidence")["size"]["maximum"] == media.FILE_MAX
    assert props("live")["opus"]["maximum"] == media.OPUS_MAX


def test_every_code_fits_the_schema():
    for code in CODES.values():
        assert re.fullmatch(props("report")["code"]["pattern"], code.sia)
        assert 0 <= code.cid <= props("report")["cid"]["maximum"]


MEDIA_FRAMES = {
    "evidence": media.encode_chunk(
        media.Chunk(INCIDENT, "still", "gate", "still-1.jpg", 3, media.digest(b"abc"), 0, b"abc"), PANEL_KEY
    ),
    "live": media.encode_live(media.LiveFrame(7, 1234, 960, b"opus")),
    "evidence-receipt": media.encode_evidence_receipt(
        media.EvidenceReceipt(INCIDENT, "still-1.jpg", media.digest(b"abc"), "110"), None
    ),
}


@pytest.mark.parametrize("kind", MEDIA_FRAMES)
def test_what_the_media_child_writes_keeps_its_schema(kind):
    topic = TOPICS[kind].replace("{receiver}", "110").replace("{incident}", "1-2").replace("{name}", "still-1.jpg")
    assert schema.judge(topic, MEDIA_FRAMES[kind])[0] == kind


def test_a_manifest_keeps_its_schema():
    entry = media.ManifestEntry("still-1.jpg", "still", "gate", 3, media.digest(b"abc"), 1, 2, 3, 4)
    manifest = media.Manifest(INCIDENT, True, False, (entry,), ("clip-1.mp4",))  # noqa: FBT003 - as the file has it
    schema.check("manifest", json.loads(media.encode_manifest(manifest, PANEL_KEY)))


def test_a_packet_with_a_key_of_its_own_or_on_no_topic_is_judged_bad():
    good = json.loads(EXAMPLES[0][1])
    topic = topics.report(good["panel"], ReportClass.ALARM)
    assert schema.judge(topic, json.dumps(good).encode())[0] == "report"
    with pytest.raises(AssertionError, match="colour"):
        schema.judge(topic, json.dumps({**good, "colour": "red"}).encode())
    with pytest.raises(AssertionError, match="none of the documented topics"):
        schema.judge("gatebooth/v1/P/else", b"{}")
    with pytest.raises(AssertionError, match="carries the panel"):
        schema.judge(topics.report("P", ReportClass.ALARM), json.dumps(good).encode())
