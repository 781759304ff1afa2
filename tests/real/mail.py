"""Python's imaplib and smtplib as the mail programs of the tests: mail.py TASK HOST PORT LOGIN [ARGUMENT...]

The password is in the environment (PASSWORD). What was asked for is printed; a refusal is printed as it was given, and ends with 1.
"""
import hashlib
import imaplib
import os
import smtplib
import sys
import threading
import zlib

HOST, PORT, LOGIN, PASSWORD = sys.argv[2], int(sys.argv[3]), sys.argv[4], os.environ["PASSWORD"]
REST = sys.argv[5:]
LIMIT = 60


def say(*words):
    print(*words, flush=True)


def imap(mechanism="LOGIN", port=PORT):
    client = imaplib.IMAP4(HOST, port, timeout=LIMIT)
    if mechanism == "LOGIN":
        client.login(LOGIN, PASSWORD)
    else:
        client.authenticate(mechanism, lambda _: f"\0{LOGIN}\0{PASSWORD}".encode())
    return client


def smtp(mechanism="PLAIN", port=PORT):
    client = smtplib.SMTP(HOST, port, timeout=LIMIT)
    client.ehlo()
    client.user, client.password = LOGIN, PASSWORD
    client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"), initial_response_ok="no-initial" not in REST)
    return client


def task_imap(mechanism):
    """Logs in and says the sha256 of every message of the inbox."""
    client = imap(mechanism)
    _, (count,) = client.select("INBOX")
    for number in range(1, int(count) + 1):
        message = client.fetch(str(number), "(BODY.PEEK[])")[1][0][1]
        say(hashlib.sha256(message).hexdigest(), len(message))
    client.logout()


def task_smtp(mechanism, recipient, *_):
    """Sends the message on standard input, as bytes."""
    client = smtp(mechanism)
    client.sendmail(LOGIN, [recipient], sys.stdin.buffer.read(), ["BODY=8BITMIME"])
    client.quit()


def task_session():
    """Holds one session open: for each line on standard input it asks the server whether it is still there."""
    client = imap()
    client.select("INBOX")
    say("open")
    for _ in sys.stdin:
        say(client.noop()[0])
    client.logout()


def task_idle():
    """Waits in IDLE until the server tells of a message."""
    client = imap()
    client.select("INBOX")
    client.send(b"idle IDLE\r\n")
    assert client.readline().startswith(b"+")
    say("idling")
    while not (line := client.readline()).endswith(b"EXISTS\r\n"):
        assert line, "the line was cut"
    say(line.decode().strip())
    client.send(b"DONE\r\n")
    while not (line := client.readline()).startswith(b"idle "):
        assert line, "the line was cut"
    say(line.decode().split()[1])
    client.logout()


def task_compress():
    """Agrees on COMPRESS DEFLATE (RFC 4978), and reads a message through it."""
    client = imap()
    assert "COMPRESS=DEFLATE" in client.capability()[1][0].decode().split(), client.capability()
    client.send(b"c1 COMPRESS DEFLATE\r\n")
    assert client.readline().startswith(b"c1 OK")
    packer = zlib.compressobj(wbits=-15)
    unpacker = zlib.decompressobj(wbits=-15)
    received = b""

    def command(tag, words):
        nonlocal received
        client.sock.sendall(packer.compress(f"{tag} {words}\r\n".encode()) + packer.flush(zlib.Z_SYNC_FLUSH))
        received = b""
        while f"\r\n{tag} OK".encode() not in received:
            data = client.sock.recv(65536)
            assert data, "the line was cut"
            received += unpacker.decompress(data)
        return received

    command("c2", "SELECT INBOX")
    reply = command("c3", "FETCH 1 BODY.PEEK[]")
    start = reply.index(b"}\r\n") + 3
    size = int(reply[reply.index(b"{") + 1 : start - 3])
    say(hashlib.sha256(reply[start : start + size]).hexdigest(), size)


def task_many(smtp_port, each):
    """Logs in by IMAP and by SMTP, EACH times each, all at the same moment, and says how many succeeded."""
    gate = threading.Barrier(2 * int(each))
    done, troubles = [], []

    def one(connect):
        try:
            gate.wait()
            done.append(connect())
        except Exception as trouble:  # whatever it is, it is told
            troubles.append(f"{connect.__name__}: {trouble!r}")

    def by_imap():
        return imap("LOGIN")

    def by_smtp():
        return smtp("PLAIN", int(smtp_port))

    threads = [threading.Thread(target=one, args=[connect]) for connect in [by_imap, by_smtp] * int(each)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in done:
        client.logout() if isinstance(client, imaplib.IMAP4) else client.quit()
    say(len(done), *troubles)


try:
    globals()["task_" + sys.argv[1]](*REST)
except (imaplib.IMAP4.error, smtplib.SMTPException) as refusal:
    say(f"{type(refusal).__name__}: {refusal}")
    sys.exit(1)
