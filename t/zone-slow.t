#!/usr/bin/env perl

# asan
# waits
#
# Invariant 4: a client that is too slow for its segment gets the right bytes
# or a closed connection, whatever happens to the segment, to the stream and
# to the worker meanwhile; and what was kept for it is given back.

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use IO::Socket::INET;
use POSIX ();
use Socket qw/ SOL_SOCKET SO_RCVBUF pack_sockaddr_in inet_aton PF_INET
               SOCK_STREAM /;
use Test::Live;
use Test::Live::M3U8;
use Test::Live::RTMP;
use Test::More;
use Time::HiRes qw/ time sleep /;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 5;
events { }

live {
    zone 512m;

    application live {
        segment 1s max=1s;
        window 3s;
        resume 1s;
    }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%
    add_header X-Worker $pid always;

    server {
        listen 127.0.0.1:%%PORT_8080%% sndbuf=64k;
        listen 127.0.0.1:%%PORT_8443%% ssl sndbuf=64k;
        ssl_certificate cert.pem;
        ssl_certificate_key key.pem;

        location /live/ { live_play live; }
    }
}
CONF

# frames of so many bytes, ten a second
my $FRAME = 300_000;

my $clip = Test::Live::RTMP::flv_tags($t->clip(seconds => 1, audio => 0));
my ($record) = map { $_->{payload} }
               grep { $_->{type} == 9
                      && ord(substr $_->{payload}, 1, 1) == 0 } @$clip;

certificate();
$t->run();

# two publishers that go on, one that ends, one that is killed
my %publishers = map { $_ => publisher($_) } qw/ on ends killed /;
my %segments = map { $_ => newest($_) } sort keys %publishers;
my %busy = map { $_ => 1 } publishing_workers();

my @readers = (
    reader('plain', 'on'),
    reader('TLS', 'on', tls => 1),
    reader('stream ends', 'ends'),
    reader('publisher killed', 'killed'),
    reader('a range', 'on', headers => "Range: bytes=1000000-\r\n",
           from => 1_000_000),

    # these are in the middle of it when it leaves
    map {
        reader("steady $_, plain", $_, rate => 8192),
        reader("steady $_, TLS", $_, rate => 8192, tls => 1)
    } qw/ on ends killed /
);

my $stopped = reader_on('stopped worker', 'on', sub { !$busy{$_[0]} });
my $worker = $stopped->{worker};
my $killed = reader_on('killed worker', 'on',
                       sub { !$busy{$_[0]} && $_[0] != $worker });

push @readers, $stopped, $killed,
     reader_on('stopped worker and stream ends', 'ends',
               sub { $_[0] == $worker });

$t->allow_log(qr/worker process $killed->{worker} exited on signal 9/);
kill 'STOP', $worker;
kill 'KILL', $killed->{worker};

stop_publisher('ends', 'TERM');
stop_publisher('killed', 'KILL');

read_slowly(sub { gone('on') && gone('ends') && gone('killed') }, 40,
            'end of the segments');

is($t->get('/live/on/source/playlist.m3u8')->{status}, 200,
   'the stream goes on (invariant 9)');
stop_publisher('on', 'TERM');

# of all that there was, what the stopped worker sends
my %sends = map { $_->{name} => length $segments{$_->{name}}{body} }
            grep { $_->{worker} == $worker } @readers;
my $kept = 0;
$kept += $_ + -$_ % 4096 for values %sends;

read_slowly(sub { blocks() <= $kept }, 40, 'memory given back');
is(blocks(), $kept, 'when the streams are over, what a stopped worker sends '
                    . 'is kept, and no more (invariant 4)');

# what waits in sockets is taken: the first thing that the worker finds is that
# it can send more
read_slowly(sub { 0 }, 2);
read_to_the_end(3, grep { $_->{worker} == $worker } @readers);
kill 'CONT', $worker;
read_to_the_end(30, @readers);

test_reader($_) for @readers;

cmp_ok(scalar(() = $t->log(qr/left the zone while it was being sent/)), '>=',
       3, 'the log says why connections were closed');

ok($t->wait_for(sub { blocks() == 0 }, 20, 'memory given back'),
   'and given back when it is done')
    or diag(blocks() . ' bytes are left');

done_testing();


# --- publishers ---------------------------------------------------------------

sub certificate {
    my ($code, $output) = $t->command(
        qw/ openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /,
        '/CN=localhost', '-keyout', $t->dir() . '/key.pem',
        '-out', $t->dir() . '/cert.pem');

    die "no certificate: $output\n" if $code;
}


# A process that publishes ten frames a second, a key frame each second; each
# frame is the stream's name and its own number over and over.
sub publisher {
    my ($name) = @_;

    my $pid = fork() // die "cannot fork: $!\n";

    return $pid if $pid;

    my $over = 0;

    eval {
        local $SIG{TERM} = sub { $over = 1 };

        my $client = Test::Live::RTMP->start(
            port => $t->port(1935), app => 'live', name => $name,
            chunk_size => 1_000_000);
        my $start = time();

        $client->video(0, $record);

        for (my $n = 0; !$over; $n++) {
            sleep 0.01 while !$over && time() < $start + $n / 10;
            $client->video($n * 100, frame($name, $n)) or last;
        }

        $client->stop($name);
    };

    POSIX::_exit(0);
}


sub frame {
    my ($name, $n) = @_;

    my $word = sprintf '%-8s%08d', $name, $n;
    my $key = $n % 10 == 0;
    my $unit = ($key ? "\x65" : "\x41") . $word x ($FRAME / length $word);

    return Test::Live::RTMP::avc_frame($key, 0, pack('N', length $unit)
                                                . $unit);
}


sub stop_publisher {
    my ($name, $signal) = @_;

    kill $signal, $publishers{$name};
    waitpid $publishers{$name}, 0;
    delete $publishers{$name};
}


END {
    my $code = $?;

    if ($t && $t->{owner} == $$) {
        kill 'KILL', values %publishers;
        kill 'CONT', $worker if $worker;
    }

    $? = $code;
}


# The workers that have a publisher, from the log.
sub publishing_workers {
    return map { /\] (\d+)#/ } $t->log(qr/publishing begins/);
}


# --- segments -----------------------------------------------------------------

# The newest segment of a stream and a copy that was fetched fast.
sub newest {
    my ($name) = @_;

    my $segment;

    $t->wait_for(sub {
        my $r = $t->get("/live/$name/source/playlist.m3u8");

        return unless $r->{status} == 200;
        $segment = Test::Live::M3U8->parse($r->{body})->{segments}[-1];
    }, 30, "segment of $name") or die "no segment of $name\n";

    my $r = $t->get("/live/$name/source/$segment->{uri}");

    is($r->{status}, 200, "$name: a copy of $segment->{uri}");
    cmp_ok(length $r->{body}, '>', 9 * $FRAME,
           "$name: too large for socket buffers");

    return { uri => $segment->{uri}, body => $r->{body} };
}


sub gone {
    my ($name) = @_;

    return $t->get("/live/$name/source/$segments{$name}{uri}")->{status} == 404;
}


# Bytes of memory that the zone's file has.
sub blocks {
    for my $fd (glob '/proc/' . $t->master() . '/fd/*') {
        next unless (readlink($fd) // '') =~ /memfd:ngx_live/;
        return (stat $fd)[12] * 512;
    }

    die "no memfd\n";
}


# --- slow readers -------------------------------------------------------------

sub reader {
    my ($what, $name, %option) = @_;

    my $segment = $segments{$name};
    my $request = "GET /live/$name/source/$segment->{uri} HTTP/1.1\r\n"
                  . "Host: localhost\r\nConnection: close\r\n"
                  . ($option{headers} || '') . "\r\n";
    my $from = $option{from} || 0;
    my $self = { what => $what, name => $name, raw => '', closed => 0,
                 rate => $option{rate} || 256,
                 full => substr($segment->{body}, $from) };

    $self->{socket} = $option{tls} ? tls($request)
                                   : plain($request, 8 * $self->{rate});

    my $end = time() + 10;

    # the response's header
    while ($self->{raw} !~ /\r\n\r\n/ && time() < $end) {
        read_some($self, 512);
    }

    die "$what: no response: $self->{raw}\n"
        unless $self->{raw} =~ m{^HTTP/1.1 20[06]};
    ($self->{worker}) = $self->{raw} =~ /^X-Worker: (\d+)/m;

    return $self;
}


sub plain {
    my ($request, $size) = @_;

    socket my $socket, PF_INET, SOCK_STREAM, 0 or die "socket: $!\n";
    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, pack 'I', $size;
    connect $socket, pack_sockaddr_in($t->port(8080), inet_aton('127.0.0.1'))
        or die "connect: $!\n";
    syswrite $socket, $request;

    return $socket;
}


# openssl decrypts; its pipe is a small buffer.
sub tls {
    my ($request) = @_;

    pipe my $in, my $out or die "pipe: $!\n";
    pipe my $from, my $to or die "pipe: $!\n";

    my $pid = fork() // die "fork: $!\n";

    if ($pid == 0) {
        open STDIN, '<&', $from;
        open STDOUT, '>&', $out;
        open STDERR, '>', '/dev/null';
        close $_ for $in, $to;
        { no warnings; exec qw/ openssl s_client -quiet -connect /,
                            '127.0.0.1:' . $t->port(8443); }
        POSIX::_exit(127);
    }

    close $_ for $out, $from;
    syswrite $to, $request;

    # its end would end openssl
    push @{ $t->{pipes} }, $to;

    return $in;
}


# The same on a worker that the sub accepts.
sub reader_on {
    my ($what, $name, $accept) = @_;

    for (1 .. 200) {
        my $r = $t->get("/live/$name/source/playlist.m3u8");
        next unless $accept->($r->{headers}{'x-worker'} || 0);

        my $reader = reader($what, $name);
        return $reader if $accept->($reader->{worker});

        close $reader->{socket};
    }

    die "no worker for $what\n";
}


sub read_some {
    my ($self, $size, $wait) = @_;

    return 0 if $self->{closed};

    my $bits = '';
    vec($bits, fileno $self->{socket}, 1) = 1;
    return 0 unless select($bits, undef, undef, $wait // 0.005) > 0;

    my $n = sysread $self->{socket}, $self->{raw}, $size, length $self->{raw};

    $self->{closed} = 1 unless $n;

    return $n;
}


# Twenty times a second what each of them takes, until something has happened.
sub read_slowly {
    my ($until, $seconds, $what) = @_;

    my $end = time() + $seconds;

    until ($until->()) {
        if (time() > $end) {
            fail("no $what in $seconds s") if $what;
            return;
        }

        my $tick = time() + 0.05;

        read_some($_, $_->{rate}, 0) for @readers;
        sleep $tick - time() if $tick > time();
    }
}


sub read_to_the_end {
    my ($seconds, @readers) = @_;

    my $end = time() + $seconds;

    while (time() < $end && grep { !$_->{closed} } @readers) {
        read_some($_, 65536) for @readers;
    }
}


sub test_reader {
    my ($self) = @_;

    my $what = $self->{what};
    my ($head, $body) = $self->{raw} =~ /\A(.*?\r\n\r\n)(.*)\z/s;
    my ($length) = $head =~ /^Content-Length: (\d+)/m;

    ok($self->{closed}, "$what: the connection ends");
    is($length, length $self->{full}, "$what: Content-Length is the segment's");
    cmp_ok(length $body, '>', 4096, "$what: some of it came");
    is(md5_hex($body), md5_hex(substr $self->{full}, 0, length $body),
       "$what: not one wrong byte (invariant 4)");
    cmp_ok(length $body, '<', $length, "$what: it was cut off (HTTP-79)");
}
