# Mail::IMAPClient, Net::POP3 and Net::SMTP: mail.pl PROTOCOL TLS HOST PORT CA LOGIN SENDER RECIPIENT, with the password in the
# environment.
use strict;
use warnings;
use Mail::IMAPClient;
use Net::POP3;
use Net::SMTP;

my ($protocol, $tls, $host, $port, $ca, $login, $sender, $recipient) = @ARGV;
my $password = $ENV{PASSWORD};
my %trust = (SSL_ca_file => $ca, SSL_verify_mode => 1, SSL_verifycn_name => $host, SSL_verifycn_scheme => 'smtp');
binmode STDIN;
binmode STDOUT;

sub read_imap {
    my $client = Mail::IMAPClient->new(
        Server => $host, Port => $port, User => $login, Password => $password, Timeout => 60, Peek => 1,
        $tls eq 'implicit' ? (Ssl => [%trust]) : (),
        $tls eq 'starttls' ? (Starttls => [%trust]) : (),
    ) or die "imap: $@\n";
    $client->select('INBOX') or die 'select: ' . $client->LastError . "\n";
    my ($first) = $client->messages or die "no message\n";
    print $client->message_string($first) // die 'fetch: ' . $client->LastError . "\n";
    $client->logout;
}

sub read_pop3 {
    my $client = Net::POP3->new($host, Port => $port, Timeout => 60, $tls eq 'implicit' ? (SSL => 1, %trust) : ())
        or die "pop3: $@\n";
    if ($tls eq 'starttls') { $client->starttls(%trust) or die 'starttls: ' . $client->message . "\n" }
    defined $client->login($login, $password) or die 'login: ' . $client->message . "\n";
    print @{ $client->get(1) or die 'retr: ' . $client->message . "\n" };
    $client->quit;
}

sub send_smtp {
    my $client = Net::SMTP->new($host, Port => $port, Timeout => 60, $tls eq 'implicit' ? (SSL => 1, %trust) : ())
        or die "smtp: $@\n";
    if ($tls eq 'starttls') { $client->starttls(%trust) or die 'starttls: ' . $client->message . "\n" }
    $client->auth($login, $password) or die 'auth: ' . $client->message . "\n";
    $client->mail($sender) && $client->to($recipient) && $client->data(do { local $/; <STDIN> })
        or die 'send: ' . $client->message . "\n";
    $client->quit;
}

my %work = (imap => \&read_imap, pop3 => \&read_pop3, smtp => \&send_smtp);
$work{$protocol}->();
