"""imaplib, poplib and smtplib: mail.py PROTOCOL TLS HOST PORT CA LOGIN SENDER RECIPIENT, with the password in the environment."""
import imaplib
import os
import poplib
import smtplib
import ssl
import sys

PROTOCOL, TLS, HOST, PORT, CA, LOGIN, SENDER, RECIPIENT = sys.argv[1:]
PASSWORD = os.environ["PASSWORD"]
TRUST = ssl.create_default_context(cafile=CA)
LIMIT = 60


def read_imap():
    if TLS == "implicit":
        client = imaplib.IMAP4_SSL(HOST, int(PORT), ssl_context=TRUST, timeout=LIMIT)
    else:
        client = imaplib.IMAP4(HOST, int(PORT), timeout=LIMIT)
    if TLS == "starttls":
        client.starttls(TRUST)
    client.login(LOGIN, PASSWORD)
    client.select("INBOX")
    message = client.fetch("1", "(BODY.PEEK[])")[1][0][1]
    client.logout()
    return message


def read_pop3():
    if TLS == "implicit":
        client = poplib.POP3_SSL(HOST, int(PORT), context=TRUST, timeout=LIMIT)
    else:
        client = poplib.POP3(HOST, int(PORT), timeout=LIMIT)
    if TLS == "starttls":
        client.stls(TRUST)
    client.user(LOGIN)
    client.pass_(PASSWORD)
    lines = client.retr(1)[1]
    client.quit()
    return b"\r\n".join(lines) + b"\r\n"


def send_smtp(message):
    if TLS == "implicit":
        client = smtplib.SMTP_SSL(HOST, int(PORT), context=TRUST, timeout=LIMIT)
    else:
        client = smtplib.SMTP(HOST, int(PORT), timeout=LIMIT)
    if TLS == "starttls":
        client.starttls(context=TRUST)
    client.login(LOGIN, PASSWORD)
    client.sendmail(SENDER, [RECIPIENT], message, ["BODY=8BITMIME"])
    client.quit()


if PROTOCOL == "smtp":
    send_smtp(sys.stdin.buffer.read())
else:
    sys.stdout.buffer.write(read_imap() if PROTOCOL == "imap" else read_pop3())
