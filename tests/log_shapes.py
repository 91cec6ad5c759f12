"""A log of the contract, written as other programs write theirs. Each function returns the text of a file."""

import csv
import io
import json
from datetime import datetime
from itertools import groupby

REFUSAL = "Sorry, I did not get that."


def answer(row):
    """What the assistant said; a refusal is the only sign that a turn failed."""
    return REFUSAL if row["status"] == "failed" else f"Okay, {row['hypothesis'].partition('|')[0]}."


def talks(rows):
    """(conversation, user, its rows): those of one user on one day."""
    ordered = sorted(rows, key=lambda row: (row["user_id"], row["timestamp"]))
    for (user, day), of in groupby(ordered, key=lambda row: (row["user_id"], row["timestamp"][:10])):
        yield f"{user}-{day}", user, list(of)


def nested_json(rows):
    """One JSON list of conversations, each with messages."""
    return json.dumps(
        [
            {
                "conversation": talk,
                "customer": {"id": user, "tier": "free"},
                "messages": [
                    {"author": who, "content": {"type": "text", "text": text}, "sentAt": row["timestamp"]}
                    for row in of
                    for who, text in (("customer", row["utterance"]), ("agent", answer(row)))
                ],
            }
            for talk, user, of in talks(rows)
        ],
        indent=1,
    )


def day_first_csv(rows):
    """Semicolons, the date and the time of day in two columns, the day first, and the answers in rows of their own."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";")
    writer.writerow(["Date", "Time", "Sender", "Customer", "Text"])
    for _, user, of in talks(rows):
        for row in of:
            at = datetime.fromisoformat(row["timestamp"])
            for who, text in (("user", row["utterance"]), ("bot", answer(row))):
                writer.writerow([at.strftime("%d/%m/%Y"), at.strftime("%H:%M:%S"), who, user, text])
    return out.getvalue()


def botpress_json(rows):
    """One page of messages as the API of Botpress lists them, the newest first; the assistant is a user of its own."""
    messages = [
        {
            "id": f"msg_{n}",
            "createdAt": row["timestamp"],
            "updatedAt": row["timestamp"],
            "type": "text",
            "payload": {"type": "text", "text": text},
            "direction": direction,
            "userId": f"user_{user}" if direction == "incoming" else "user_of_the_bot",
            "conversationId": f"conv_{talk}",
            "tags": {},
        }
        for talk, user, of in talks(rows)
        for n, row in enumerate(of)
        for direction, text in (("incoming", row["utterance"]), ("outgoing", answer(row)))
    ]
    messages = [message | {"id": f"msg_{n}"} for n, message in enumerate(messages)]
    return json.dumps({"messages": messages[::-1], "meta": {"nextToken": None}})


def dialogflow_jsonl(rows):
    """Rows of the table to which Dialogflow CX exports interactions; requests and responses are JSON in a text."""
    out = []
    for talk, user, of in talks(rows):
        for n, row in enumerate(of):
            failed = row["status"] == "failed"
            intent = {} if failed else {"intent": {"displayName": row["hypothesis"].partition("|")[0]}}
            slots = {} if failed else dict(part.split("=") for part in row["hypothesis"].split("|")[1:])
            result = {
                "text": row["utterance"],
                "languageCode": "en",
                "parameters": slots,
                "responseMessages": [{"text": {"text": [answer(row)]}}],
                "match": {**intent, "matchType": "NO_MATCH" if failed else "INTENT", "confidence": 0.3 if failed else 0.9},
            }
            out.append(
                {
                    "project_id": "p",
                    "agent_id": "a",
                    "conversation_name": f"projects/p/locations/x/agents/a/sessions/{talk}",
                    "turn_position": n + 1,
                    "request_time": row["timestamp"].replace("T", " ").replace("+00:00", " UTC"),
                    "language_code": "en",
                    "request": json.dumps({"queryParams": {"payload": {"userId": user}}, "queryInput": {"languageCode": "en"}}),
                    "response": json.dumps({"responseId": f"{talk}-{n}", "queryResult": result}),
                }
            )
    return "".join(json.dumps(row) + "\n" for row in out)


def dialogflow_es_jsonl(rows):
    """Rows of the table into which the text payloads of Dialogflow ES in Cloud Logging are parsed; its flags are texts."""
    out = []
    for talk, user, of in talks(rows):
        for n, row in enumerate(of):
            failed = row["status"] == "failed"
            out.append(
                {
                    "session_id": talk,
                    "trace": f"{n}",
                    "caller_id": user,
                    "timestamp": row["timestamp"],
                    "receiveTimestamp": row["timestamp"],
                    "resolved_query": row["utterance"],
                    "speech": answer(row),
                    "is_fallback_intent": "true" if failed else "false",
                    "webhook_used": "false",
                    "intent_name": "Default Fallback Intent" if failed else row["hypothesis"].partition("|")[0],
                    "intent_id": f"i{int(failed)}",
                    "action": "input.unknown" if failed else "done",
                    "source": "agent",
                    "error_type": "success",
                    "code": "200",
                    "lang": "en",
                }
            )
    return "".join(json.dumps(row) + "\n" for row in out)


def openai_jsonl(rows):
    """Conversations as lists of messages with a role; only a conversation has a time."""
    return "".join(
        json.dumps(
            {
                "id": f"{talk}-{n}",
                "user": user,
                "created": int(datetime.fromisoformat(part[0]["timestamp"]).timestamp()),
                "messages": [
                    {"role": "system", "content": "You are a home."},
                    *(
                        {"role": role, "content": text}
                        for row in part
                        for role, text in (("user", row["utterance"]), ("assistant", answer(row)))
                    ),
                ],
            }
        )
        + "\n"
        for talk, user, of in talks(rows)
        for n, part in enumerate(_parts(of))
    )


def _parts(of):
    """Rows that follow within a minute belong together."""
    parts = []
    for row in of:
        at = datetime.fromisoformat(row["timestamp"])
        if parts and (at - datetime.fromisoformat(parts[-1][-1]["timestamp"])).total_seconds() < 60:
            parts[-1].append(row)
        else:
            parts.append([row])
    return parts


def transcript_txt(rows):
    """Conversations as text, divided by blank lines; people are named, and so is the assistant."""
    blocks = []
    for talk, user, of in talks(rows):
        lines = [f"Conversation {talk}"]
        for row in of:
            at = datetime.fromisoformat(row["timestamp"]).strftime("%Y-%m-%d %H:%M:%S")
            lines += [f"[{at}] {user}: {row['utterance']}", f"[{at}] Lumi: {answer(row)}"]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def clicks_csv(rows):
    """Searches and clicks as events; a search that failed has no click."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["event", "visitor", "ts", "query", "url"])
    for _, user, of in talks(rows):
        for row in of:
            at = int(datetime.fromisoformat(row["timestamp"]).timestamp())
            writer.writerow(["search", user, at, row["utterance"], ""])
            if row["status"] == "ok":
                writer.writerow(["click", user, at + 2, "", "https://example.org/1"])
    return out.getvalue()


SHAPES = {
    "nested.json": nested_json,
    "day first.csv": day_first_csv,
    "botpress.json": botpress_json,
    "dialogflow.jsonl": dialogflow_jsonl,
    "dialogflow es.jsonl": dialogflow_es_jsonl,
    "openai.jsonl": openai_jsonl,
    "transcript.txt": transcript_txt,
    "clicks.csv": clicks_csv,
}
"""Name of a file -> what writes it."""
