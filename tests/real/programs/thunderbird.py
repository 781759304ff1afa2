"""Thunderbird without a window: thunderbird.py PROTOCOL TLS HOST PORT CA LOGIN SENDER RECIPIENT, with the password in the environment.

It is driven by its remote control, Marionette, and has a profile in the current folder.
"""
import base64
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

PROTOCOL, TLS, HOST, PORT, CA, LOGIN, SENDER, RECIPIENT = sys.argv[1:]
LIMIT = 60
PROFILE = pathlib.Path("profile").absolute()
SETTINGS = {
    "marionette.port": 0,
    # Nothing that asks a person, and nobody beyond this machine.
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.spotlight.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "mail.server.default.login_at_startup": False,
    "mail.server.default.check_new_mail": False,
    "network.proxy.type": 0,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "app.update.disabledForTesting": True,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "extensions.update.enabled": False,
    "services.settings.server": "data:,nobody",
}


class Marionette:
    """Messages are `LENGTH:[0, number, command, arguments]`, answers `LENGTH:[1, number, trouble, result]`."""

    def __init__(self, port):
        self.line = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
        self.stream = self.line.makefile("rb")
        self.answer()  # the greeting

    def answer(self):
        length = b""
        while not length.endswith(b":"):
            read = self.stream.read(1)
            assert read, "Thunderbird hung up"
            length += read
        return json.loads(self.stream.read(int(length[:-1])))

    def ask(self, command, **arguments):
        words = json.dumps([0, 1, command, arguments]).encode()
        self.line.sendall(b"%d:%s" % (len(words), words))
        _, _, trouble, result = self.answer()
        assert not trouble, trouble
        return result


def start():
    PROFILE.mkdir()
    lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in SETTINGS.items())
    (PROFILE / "user.js").write_text("".join(lines))
    log = open("thunderbird.log", "wb")
    command = ["thunderbird", "--headless", "--marionette", "--remote-allow-system-access", "--profile", PROFILE]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def port_of(thunderbird):
    """Waits for the file in which Thunderbird says where it listens."""
    file = PROFILE / "MarionetteActivePort"
    while thunderbird.poll() is None:
        if file.exists() and (text := file.read_text()):
            return int(text)
        time.sleep(0.02)
    sys.exit("Thunderbird ended: " + open("thunderbird.log").read())


def order():
    words = pathlib.Path(CA).read_text().splitlines()
    file = pathlib.Path("message").absolute()
    file.write_bytes(sys.stdin.buffer.read())
    return {
        "protocol": PROTOCOL, "tls": TLS, "host": HOST, "port": int(PORT), "login": LOGIN, "password": os.environ["PASSWORD"],
        "sender": SENDER, "recipient": RECIPIENT, "file": str(file),
        "ca": "".join(word for word in words if not word.startswith("-----")),
    }


# A time limit that ends this has to end Thunderbird too.
signal.signal(signal.SIGTERM, lambda *_: sys.exit("took too long"))
thunderbird = start()
try:
    marionette = Marionette(port_of(thunderbird))
    marionette.ask("WebDriver:NewSession")
    marionette.ask("WebDriver:SetTimeouts", script=LIMIT * 1000)
    marionette.ask("Marionette:SetContext", value="chrome")
    script = pathlib.Path(__file__).with_suffix(".js").read_text()
    answer = marionette.ask("WebDriver:ExecuteAsyncScript", script=script, args=[order()], sandbox="system")
finally:
    os.killpg(thunderbird.pid, signal.SIGKILL)
    thunderbird.wait()
message, trouble = answer["value"]
if trouble:
    sys.exit(trouble)
sys.stdout.buffer.write(base64.b64decode(message))
