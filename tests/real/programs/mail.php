<?php
// The imap extension and PHPMailer: mail.php PROTOCOL TLS HOST PORT CA LOGIN SENDER RECIPIENT, with the password in the environment.
[, $protocol, $tls, $host, $port, $ca, $login, $sender, $recipient] = $argv;
$password = getenv('PASSWORD');

function read_mail(): string
{
    global $protocol, $tls, $host, $port, $login, $password;
    $kind = ['none' => '/notls', 'starttls' => '/tls', 'implicit' => '/ssl'][$tls];
    $mailbox = imap_open("{{$host}:$port/$protocol$kind/validate-cert}INBOX", $login, $password, 0, 1);
    if ($mailbox === false) {
        throw new Exception('imap_open: ' . implode('; ', imap_errors() ?: []));
    }
    $message = imap_fetchheader($mailbox, 1, FT_PREFETCHTEXT) . imap_body($mailbox, 1, FT_PEEK);
    imap_close($mailbox);
    return $message;
}

function send_mail(string $message): void
{
    global $tls, $host, $port, $ca, $login, $sender, $recipient, $password;
    require_once '/usr/share/php/libphp-phpmailer/autoload.php';
    $mail = new PHPMailer\PHPMailer\PHPMailer(true);
    $mail->isSMTP();
    [$mail->Host, $mail->Port, $mail->SMTPAuth] = [$host, (int) $port, true];
    [$mail->Username, $mail->Password] = [$login, $password];
    $mail->SMTPAutoTLS = false;
    $mail->SMTPSecure = ['none' => '', 'starttls' => 'tls', 'implicit' => 'ssl'][$tls];
    $mail->SMTPOptions = ['ssl' => ['cafile' => $ca]];
    [$mail->CharSet, $mail->Encoding] = ['utf-8', '8bit'];
    $mail->setFrom($sender);
    $mail->addAddress($recipient);
    $mail->Subject = 'by PHPMailer';
    $mail->Body = explode("\r\n\r\n", $message, 2)[1];
    $mail->send();
}

try {
    if ($protocol === 'smtp') {
        send_mail(stream_get_contents(STDIN));
    } else {
        echo read_mail();
    }
} catch (Exception $trouble) {
    fwrite(STDERR, $trouble->getMessage() . "\n");
    exit(1);
}
