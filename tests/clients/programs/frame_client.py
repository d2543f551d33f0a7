"""A console's WebSocket client that does, frame by frame, what the clients in use do.

See docs/facts/azure.md 3, 6.

The behaviours are `az serial-console` of 0.1.0 to 1.0.0b4 on websocket-client, and LISA's client on
websockets. Prints what was seen as JSON: frames (type and text), answers to POSTs, how it was closed.
"""

import asyncio
import json
import socket
import sys
import time
import uuid

import requests
import websocket
import websockets

FACTS = json.loads(sys.argv[1])
PARENT = FACTS.get("parent", "virtualMachines/linux1")
BOUND_S = 60.0
SEEN: dict = {"frames": [], "posts": [], "closed": None, "errors": []}


def fetch_token() -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": FACTS.get("client", "app"),
        "client_secret": "secret",
        "scope": f"{FACTS['endpoint']}/.default",
    }
    url = f"{FACTS['endpoint']}/{FACTS['tenant']}/oauth2/v2.0/token"
    return requests.post(url, data=form, timeout=BOUND_S).json()["access_token"]


def call(method: str, what: str, token: str, **options: object) -> dict:
    """Return what the serial ports of the parent answer."""
    path = (
        f"/subscriptions/{FACTS['subscription']}/resourcegroups/{FACTS['group']}/providers/Microsoft.Compute"
        f"/{PARENT}/providers/Microsoft.SerialConsole/serialPorts{what}?api-version=2018-05-01"
    )
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    answer = requests.request(
        method, f"{FACTS['endpoint']}{path}", headers=headers, timeout=BOUND_S, **options
    )
    answer.raise_for_status()
    return answer.json()


def connect(token: str) -> str:
    """Return the connection string of a new session."""
    return call("post", "/0/connect", token)["connectionString"]


def post_command(url: str, token: str) -> bool:
    """POST the admin command as az does, to the URL that it makes of the connection string."""
    command = FACTS["command"]
    target = url.replace("wss", "https").replace("ws", "http").replace("/client", f"/adminCommand/{command}")
    headers = {
        "accept": "application/json",
        "authorization": f"Bearer {token}",
        "accept-language": "en",
        "content-type": "application/json",
    }
    body = {
        "command": command,
        "requestId": str(uuid.uuid4()),
        "commandParameters": {"SysRqCommand": FACTS["keys"]} if command == "sysrq" else {},
    }
    answer = requests.post(target, headers=headers, data=json.dumps(body), timeout=BOUND_S)
    SEEN["posts"].append([answer.status_code, answer.text])
    return answer.status_code == 200


class Az:
    """`az serial-console connect`, or `send` where a command is given."""

    def __init__(self, *, query: str, on_open: bool, in_reply: bool) -> None:
        self.token = fetch_token()
        self.wrong = FACTS.get("wrong_token")
        self.url = connect(self.token)
        self.on_open_sends, self.in_reply = on_open, in_reply
        self.first, self.text = True, ""
        self.talk = FACTS["talk"] if "talk" in FACTS else [[FACTS.get("prompt"), FACTS.get("type")]]
        self.app = websocket.WebSocketApp(
            FACTS.get("url", self.url) + query.replace("TOKEN", self.token),
            on_open=self.on_open,
            on_message=self.on_message,
            on_close=lambda _, code, reason: SEEN.update(closed=[code, reason]),
            on_error=self.on_error,
        )

    def run(self) -> None:
        self.app.run_forever(skip_utf8_validation="command" not in FACTS)

    def on_error(self, app: websocket.WebSocketApp, error: Exception) -> None:
        SEEN["errors"].append(repr(error))
        if not isinstance(error, (websocket.WebSocketException, OSError)):
            app.close()  # a defect of this program

    def on_open(self, app: websocket.WebSocketApp) -> None:
        if self.on_open_sends:
            app.send(self.token)

    def on_message(self, app: websocket.WebSocketApp, message: str | bytes) -> None:
        text = message.decode("utf-8") if isinstance(message, bytes) else message
        SEEN["frames"].append(text)
        if self.first and self.in_reply:
            app.send(self.wrong or self.token)
        if "command" in FACTS:
            self.send_command(app)
        elif not self.first:
            self.show(app, text)
        self.first = False

    def send_command(self, app: websocket.WebSocketApp) -> None:
        if post_command(self.url, self.token) or len(SEEN["posts"]) >= 2:
            app.close()

    def show(self, app: websocket.WebSocketApp, text: str) -> None:
        """Answer each prompt of `talk` when it is seen: with typing, or with an admin command."""
        self.text += text
        while self.talk and self.talk[0][0] in self.text:
            prompt, answer = self.talk.pop(0)
            self.text = self.text.partition(prompt)[2]
            self.answer(app, answer)
        if not self.talk and FACTS["until"] in self.text:
            self.leave(app)

    def answer(self, app: websocket.WebSocketApp, answer: str | dict[str, str]) -> None:
        if isinstance(answer, dict):  # as the menu behind Ctrl+] does
            FACTS.update(answer)
            post_command(self.url, self.token)
            FACTS.pop("command")
            return
        for character in answer:
            app.send(character)

    def leave(self, app: websocket.WebSocketApp) -> None:
        if FACTS.get("end") == "kill":
            app.sock.sock.shutdown(socket.SHUT_RDWR)
        elif FACTS.get("end") != "stay":
            app.close()


def require_port(token: str) -> None:
    """Create port 0 if it is not listed, as LISA does before it connects."""
    listed = [one["name"] for one in call("get", "", token)["value"]]
    if "0" not in listed:
        call("put", "/0", token, json={"properties": {"state": "enabled"}})


async def play_lisa() -> None:
    """Token at once, read until silence, type, read until silence; text must be `str`."""
    token = fetch_token()
    require_port(token)
    async with websockets.connect(connect(token), ping_interval=FACTS.get("ping_s", 20.0)) as link:
        await link.send(token)
        await read_silence(link)
        await link.send(FACTS["type"])
        await read_silence(link)
        SEEN["latency"] = link.latency
    SEEN["closed"] = [link.close_code, link.close_reason]


async def read_silence(link) -> None:
    """Read until nothing comes for a while."""
    output, until = "", time.monotonic() + BOUND_S
    while time.monotonic() < until:
        try:
            frame = await asyncio.wait_for(link.recv(), FACTS.get("silence_s", 1.0))
        except TimeoutError:
            return
        output += frame  # which fails where it is bytes
        SEEN["frames"].append(frame)
    raise SystemExit(f"no silence: {output[-500:]!r}")


BEHAVIOURS = {
    "0.1.0": lambda: Az(query="?authorization=TOKEN", on_open=False, in_reply=False).run(),
    "0.1.7 old": lambda: Az(query="?authorization=TOKEN&new=0", on_open=False, in_reply=False).run(),
    "0.1.8 new": lambda: Az(query="?authorization=TOKEN&new=1", on_open=True, in_reply=True).run(),
    "b2": lambda: Az(query="", on_open=False, in_reply="command" not in FACTS).run(),
    "b4": lambda: Az(query="", on_open=False, in_reply=True).run(),
    "lisa": lambda: asyncio.run(play_lisa()),
}


def main() -> None:
    BEHAVIOURS[FACTS["as"]]()
    print(json.dumps(SEEN))


main()
