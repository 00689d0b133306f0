"""Everything that a scenario can do and expect. `docs/scenarios.md` is written from these two tables."""

from __future__ import annotations

from firmware.sim.grammar import Rule

ACTIONS: tuple[Rule, ...] = (
    Rule("press", "press ZONE...", "Push the buttons, all at once, and hold them."),
    Rule("press", "hold ZONE...", "The same; reads better before the start."),
    Rule("release", "release ZONE...", "Let the buttons go."),
    Rule("click", "click ZONE... [SPAN]", "Push the buttons and let them go after 0.3 s, or SPAN."),
    Rule("cut", "cut ZONE...", "Cut the wires: the loop is open, which is a fault and no alarm."),
    Rule("short", "short ZONE...", "Join the wires: a fault too."),
    Rule("release", "mend ZONE...", "Make the wires whole; the button is not pressed."),
    Rule(
        "glitch", "glitch ZONE... SPAN [COUNT times every PAUSE]", "Interference: the loop reads the opposite for SPAN."
    ),
    Rule(
        "bounce",
        "bounce ZONE... COUNT times every SPAN [then press|release]",
        "A contact that chatters: COUNT times SPAN pressed and SPAN released; released afterwards.",
    ),
    Rule("deaf", "deaf ZONE...", "Edges of these loops no longer come; only re-reading sees their level."),
    Rule("hears", "hears ZONE...", "Edges come again."),
    Rule("input", "input ZONE lost|back", "The GPIO line of a loop cannot be read, or opened by a start; it can."),
    Rule("output", "output OUTPUT lost|back", "A relay or lamp cannot be driven, or opened by a start; it can."),
    Rule(
        "link",
        "link [PATH] up|down|blackhole",
        "The panel's network: whole; cut, and everybody is told; or everything vanishes without an error.",
    ),
    Rule("link-slow", "link [PATH] slow SPAN", "Every packet takes SPAN each way."),
    Rule("link-flaps", "link [PATH] flaps COUNT times every SPAN", "Down and up, SPAN each; up at the end."),
    Rule(
        "broker",
        "broker [BROKER] up|down|refuses|denies|forgets|nacks|loses",
        "Sound; not running; wants another password; refuses every new subscription (0x87); has no subscriber (answers "
        "0x10); refuses every publication (0x97); acknowledges but hands nothing on.",
    ),
    Rule("broker-hoards", "broker [BROKER] hoards SPAN", "Acknowledges at once and hands on after SPAN."),
    Rule(
        "broker-restarts",
        "broker [BROKER] restarts COUNT times every SPAN",
        "Down for 0.2 s, up for SPAN, COUNT times.",
    ),
    Rule(
        "centre",
        "centre [CENTRE] answers|hangs-up|mute|refuses|naks|duh|garbles|halves|naks-some|ignores-some|duhs-some",
        "The alarm receiver at the end of a DC-09 path: sound (a frame whose time is off gets a NAK with the right "
        "one); hangs up after each answer; says nothing; not running; answers every frame with NAK, or every event "
        "with DUH; takes it and answers with a wrong checksum, or with half an answer; answers every PH, YC and YK "
        "with NAK, not at all or with DUH, and takes everything else.",
    ),
    Rule(
        "receiver",
        "receiver RECEIVER away|back|mute",
        "Not connected; there and answering; there, but it answers nothing.",
    ),
    Rule(
        "receiver-step",
        "receiver RECEIVER accepts|dispatches|arrives|closes {zone ZONE | by PERSON}",
        "A person at the receiver takes the next step for the newest open incident, or that of a zone.",
    ),
    Rule(
        "rubbish",
        "receiver RECEIVER sends rubbish",
        "Receipts and commands that are no JSON, of wrong types, too long, unsigned, forged, or of another's identity.",
    ),
    Rule("replay", "receiver RECEIVER replays command", "The last command's bytes once more."),
    Rule(
        "command",
        "command from RECEIVER [expired|forged|stale|unsigned] VERB [ZONE] {by PERSON | because REASON}",
        "A signed order: reset ZONE or all, bell-off, status. Expired, signed with another key, of an earlier epoch or "
        "unsigned on demand.",
    ),
    Rule("clock-set", "clock set TIME", "The wall clock, as 1970 or 2031-05-01T08:00:00 (UTC); durations do not care."),
    Rule("clock-jumps", "clock jumps back|ahead SPAN", "The wall clock steps."),
    Rule("clock-sync", "clock synced|unsynced", "Whether a time source disciplines the wall clock."),
    Rule(
        "disk",
        "disk ok|full|readonly|eio|dead|hangs",
        "What the disk answers the journal from now on; `eio`: nothing can be written, `dead`: nor read; `hangs`: "
        "no answer.",
    ),
    Rule("disk-slow", "disk slow SPAN", "Every order to the journal takes SPAN."),
    Rule("journal", "journal deleted", "Somebody deletes the journal's files."),
    Rule("power-cut", "power cut", "Everything that is not on disk is gone; buttons stay as they are."),
    Rule(
        "power-tear", "power cut during the next write", "Some sectors of the journal's next write are new, some old."
    ),
    Rule("power-on", "power on", "The board starts anew: monotonic time begins again."),
    Rule("restart", "restart", "The panel is stopped in order and started again."),
    Rule("kill", "kill [for SPAN]", "SIGKILL; the supervisor starts the panel again after 1 s, or SPAN."),
    Rule("camera", "camera CAMERA lost|frozen|back", "Gone from the network; connected but silent; there."),
    Rule("microphone", "microphone lost|frozen|back", "Gone from the bus; there but silent; there."),
    Rule("media", "media killed", "SIGKILL for the media child."),
    Rule("types", "console types TEXT", "The technician types a line."),
    Rule("console", "console lost|back", "The serial adapter is pulled out; plugged in again."),
)

CONDITIONS: tuple[Rule, ...] = (
    Rule(
        "report",
        "report CODE at RECEIVER {zone ZONE | count COUNT | attempt NUMBER | with KEY VALUE | late|punctual|again}",
        "A report of this code reaches a receiver (`all`: every one) for the first time, or `again`; `count`: exactly "
        "so many different ones until the time is over; `with`: a value in its detail; `late`, `punctual`: marked so.",
    ),
    Rule(
        "frame",
        "frame CODE at CENTRE {zone ZONE | late|punctual|again}",
        "The alarm receiver of a DC-09 path takes an event of this code for the first time, or `again`; `late`: it "
        "tells when it happened.",
    ),
    Rule(
        "chain",
        "chain raised|stored|brokered|received|accepted|dispatched|arrived|closed|silenced by WHO [zone ZONE]",
        "The panel learns of a step of the chain of receipt: by `panel`, `journal`, a path or a receiver; `silenced`: "
        "of the end of its siren, by `panel`, `console` or a receiver.",
    ),
    Rule("incidents", "incidents open COUNT", "So many incidents are latched."),
    Rule("incident", "incident ZONE open|closed", "This zone has an open incident, or none."),
    Rule(
        "output",
        "[output] OUTPUT on|off|steady|slow|fast|double",
        "The output is driven; is at rest; or shows a pattern.",
    ),
    Rule("console", "console says TEXT", "The technician's line shows the text."),
    Rule("log", "log says TEXT", "The panel's local log shows the text."),
    Rule(
        "evidence",
        "evidence still|clip|sound|manifest {of CAMERA | at RECEIVER}",
        "A file of evidence is finished; with `at`: it has arrived there whole.",
    ),
    Rule("sealed", "evidence complete|incomplete", "An incident's manifest is written."),
    Rule("live", "live sound at RECEIVER", "A frame of live sound arrives."),
    Rule("trouble-over", "trouble SOURCE over", "No trouble of this source stands."),
    Rule("trouble", "trouble SOURCE", "A trouble of this source stands."),
    Rule("quiet", "troubles none", "Nothing is out of order."),
    Rule("path", "path PATH up|down", "The panel believes in the path, or not."),
    Rule("health", "health at RECEIVER online|gone", "The retained health says so."),
    Rule("health-count", "health at RECEIVER incidents|pending COUNT", "Latched incidents, unacknowledged alarms."),
    Rule("health-trouble", "health at RECEIVER trouble SOURCE", "The health names this trouble."),
    Rule("result", "result at RECEIVER ok|refused [says TEXT]", "The panel answers a command."),
    Rule("panel", "panel armed|dead", "The panel decides alarms, or does not run."),
    Rule("gap", "gap at RECEIVER", "The receiver sees numbers that never came."),
    Rule("warning", "warning at RECEIVER [says TEXT]", "The receiver's own logic warns."),
)

EVENTS = frozenset(
    {"report", "frame", "chain", "console", "log", "evidence", "sealed", "live", "result", "gap", "warning"}
)
"""Conditions that happen at a moment; all others hold or do not hold at any."""
