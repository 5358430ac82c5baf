#!/usr/bin/env perl

# The whole server under fire, while one stream plays untouched (invariant 9):
# random bytes, real RTMP sessions that are cut and changed, clients that send a
# byte now and then, thousands of idle connections, HTTP requests of any kind.
#
# TEST_SEED repeats a run.

# asan
# alone

use strict;
use warnings;

use Fcntl qw/ F_SETFL O_NONBLOCK /;
use IO::Socket::INET;
use POSIX ();
use Socket;
use Test::Live;
use Test::Live::Loop;
use Test::Live::M3U8;
use Test::Live::RTMP;
use Test::Live::Soak::Player;
use Test::More;
use Time::HiRes qw/ time sleep /;

my $seed = $ENV{TEST_SEED} // (time() * 1000) % 2 ** 31;

srand $seed;
note("TEST_SEED=$seed");

# Seconds of fire; what is there all the time; idle connections, where so many
# files may be open (both ends of none are in the same process).
my ($SECONDS, $STREAM, $IDLE) = (15, '/live/untouched', 10_000);

my $files = POSIX::sysconf(POSIX::_SC_OPEN_MAX());
my $idle = $IDLE < $files - 500 ? $IDLE : $files - 500;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<"CONF");
%%TEST_GLOBALS%%
worker_processes 2;
events { worker_connections 12000; }

live {
    zone 128m;
    segment 1s max=3s;
    part 500ms;
    resume 1s;

    application live { window 120s; }
    application fuzz { window 4s; max_message 1m; }
}

stream {
    server {
        listen 127.0.0.1:%%PORT_1935%% backlog=4096;
        live_handshake_timeout 8s;
        live_connect_timeout 8s;
        live_rtmp;
    }
}

http {
    %%TEST_GLOBALS_HTTP%%
    access_log off;
    client_header_timeout 8s;

    server {
        listen 127.0.0.1:%%PORT_8080%% backlog=4096;
        location /live/ { live_play live; }
        location /fuzz/ { live_play fuzz; }
        location /streams { live_api fuzz; }
    }
}
CONF

my $tags = Test::Live::RTMP::flv_tags($t->clip(seconds => 4, gop => 30));
my $session = session();
my %kinds = (bytes => \&random_bytes, sessions => \&changed_sessions,
             http => \&random_http, loris => \&slow_loris,
             idle => \&idle_connections);
my %children;

$t->run();

my @workers = $t->workers();
my $publisher = $t->ffmpeg_publish("$STREAM" =~ s{^/}{}r,
                                   clip => { seconds => 10, gop => 30 },
                                   loop => -1);

$t->wait_for(sub { segments('source') }, 20, 'stream');

play();
test_children();
test_untouched();
test_server();

done_testing();


# --- the stream that is left alone --------------------------------------------

# A strict player, while the others are at work.
sub play {
    my $loop = Test::Live::Loop->new(port => $t->port(8080));
    my $judge = bless { bad => [], counts => {} }, 'Judge';

    Test::Live::Soak::Player->new(loop => $loop, base => $STREAM,
                                  kind => $_, judge => $judge)->start()
        for qw/ poll block /;

    $children{$_} = child($_, $kinds{$_}) for sort keys %kinds;

    ok($loop->run(sub { !grep { !-e $t->dir() . "/$_.done" } keys %kinds },
                  $SECONDS + 40), 'all attackers come to their end');
    $loop->drop();

    is_deeply($judge->{bad}, [], 'the stream plays on as if nothing was');
    cmp_ok($judge->{counts}{segments}, '>=', $SECONDS, 'its player has seen '
           . "$judge->{counts}{segments} segments, "
           . "$judge->{counts}{playlists} playlists");
}


sub segments {
    my ($track) = @_;

    my $r = $t->get("$STREAM/$track/playlist.m3u8");

    return () if $r->{status} != 200;

    return @{ Test::Live::M3U8->parse($r->{body})->{segments} };
}


# From the first segment to the last, without a break, and it decodes.
sub test_untouched {
    for my $track (qw/ source audio /) {
        my @segments = segments($track);
        my @urls = ($segments[0]{map}, map { $_->{uri} } @segments);
        my $bytes = '';

        is($segments[0]{msn}, 1, "$track: all of it is listed");
        is((grep { $_->{discontinuity} || $_->{gap} } @segments), 0,
           "$track: no discontinuity, no gap");

        for my $url (@urls) {
            my $r = $t->get("$STREAM/$track/$url");

            is($r->{status}, 200, "$track/$url") if $r->{status} != 200;
            $bytes .= $r->{body};
        }

        $t->write_file("$track.mp4", $bytes);

        my ($code, $output) = $t->command(qw/ ffmpeg -v error -xerror -i /,
                                  $t->dir() . "/$track.mp4", qw/ -f null - /);

        is("$code $output", '0 ', "$track: " . @segments . ' segments decode');
    }

    ok($t->is_running($publisher), 'its encoder has noticed nothing');
}


# --- the server ---------------------------------------------------------------

sub test_server {
    is_deeply([ $t->workers() ], \@workers, 'no worker has died');

    my $r = $t->get('/streams');

    is($r->{status}, 200, 'it answers');

    my ($most) = sort { $b <=> $a } map {
        Test::Live::slurp_proc($_, 'status') =~ /^RssAnon:\s+(\d+)/m
    } @workers;

    # thousands of connections take some hundreds of bytes each
    cmp_ok($most, '<', $ENV{TEST_ASAN} ? 1_000_000 : 100_000,
           "a worker has $most kB of its own")
}


# --- attackers ----------------------------------------------------------------

# A process of its own; what it says is in a file at its end.
sub child {
    my ($name, $sub) = @_;

    my $number = int rand 2 ** 31;
    my $pid = fork() // die "cannot fork: $!\n";

    return $pid if $pid;

    srand $number;
    $SIG{PIPE} = 'IGNORE';

    my $said = eval { $sub->(time() + $SECONDS) } // "failed: $@";

    $t->write_file("$name.said", $said);
    $t->write_file("$name.done", '');
    POSIX::_exit(0);
}


sub test_children {
    for my $name (sort keys %kinds) {
        waitpid $children{$name}, 0;
        my $said = $t->read_file("$name.said") // 'nothing';

        like($said, qr/\A\d/, "$name: $said");
    }
}


END {
    my $code = $?;
    kill 'KILL', values %children if $t && $t->{owner} == $$;
    $? = $code;
}


sub open_socket {
    my ($port) = @_;

    my $socket = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1:' . $t->port($port), Timeout => 5) or return;

    $socket->blocking(0);

    return $socket;
}


# Sends as much as is taken within a second; what came back.
sub exchange {
    my ($port, $bytes) = @_;

    my $socket = open_socket($port) or return '';
    my $end = time() + 1;
    my ($back, $sent) = ('', 0);

    while (time() < $end) {
        my ($in, $out) = ('', '');

        vec($in, fileno $socket, 1) = 1;
        vec($out, fileno $socket, 1) = 1 if $sent < length $bytes;
        select $in, $out, undef, $sent < length $bytes ? 0.2 : 0.05 or last;

        if ($out =~ /[^\0]/) {
            my $n = syswrite $socket, $bytes, 1 + int(rand 20_000), $sent;

            last unless $n || $!{EAGAIN};
            $sent += $n || 0;
        }

        if ($in =~ /[^\0]/) {
            my $n = sysread $socket, $back, 65536, length $back;

            last unless $n || !defined $n && $!{EAGAIN};
        }
    }

    # half of them leave without a word
    setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'II', 1, 0
        if rand() < 0.5;

    return $back;
}


sub random_text { return join '', map { chr int rand 256 } 1 .. rand $_[0] }


sub random_bytes {
    my ($end) = @_;

    my $n = 0;

    for ( ; time() < $end; $n++) {
        my $begin = ('', "\x03", "\x03" . "\0" x 3072,
                     substr $session, 0, 3500)[rand 4];

        exchange(1935, $begin . random_text(6000));
        exchange(8080, random_text(3000));
    }

    return "$n connections";
}


# What an encoder sends that waits for no answer.
sub session {
    my $client = bless { out_size => 128, sent => {}, transaction => 0,
                         msid => 1 }, 'Recorder';

    $client->{bytes} = "\x03" . "\0" x 3072;
    $client->command('connect', { app => 'fuzz', type => 'nonprivate',
                                  flashVer => 'FMLE/3.0 (test)',
                                  tcUrl => 'rtmp://127.0.0.1/fuzz' });
    $client->command('createStream', undef);
    $client->stream_command('publish', 'NAME', 'live');
    $client->set_chunk_size(4096);
    $client->send_tags($tags);
    $client->command('deleteStream', undef, 1);

    return $client->{bytes};
}


sub changed_sessions {
    my ($end) = @_;

    my $n = 0;

    for ( ; time() < $end; $n++) {
        my $bytes = $session =~ s/NAME/sprintf 'f%03d', rand 30/er;

        # some are whole, many break off
        substr($bytes, rand length $bytes) = '' if rand() < 0.6;
        change(\$bytes) for 1 .. rand 8;
        exchange(1935, $bytes);
    }

    return "$n sessions";
}


# Where the commands are, or anywhere.
sub change {
    my ($bytes) = @_;

    my $room = rand() < 0.7 && length $$bytes > 4000 ? 4000 : length $$bytes;
    my $at = int rand $room;
    my $what = int rand 5;

    if ($what == 0) {
        substr($$bytes, $at, 1) = chr int rand 256;
    } elsif ($what == 1) {
        substr($$bytes, $at, 1 + rand 8) = '';
    } elsif ($what == 2) {
        substr($$bytes, $at, 0) = random_text(20);
    } elsif ($what == 3) {
        substr($$bytes, $at, 4) = ("\xff\xff\xff\xff", "\0\0\0\0",
                                   "\x7f\xff\xff\xff")[rand 3];
    } else {
        substr($$bytes, $at, 0) = substr $$bytes, rand length $$bytes,
                                         rand 2000;
    }
}


# Each answer is one, and never an error of the server's own.
sub random_http {
    my ($end) = @_;

    my ($n, %statuses, @bad) = 0;

    for ( ; time() < $end; $n++) {
        my $request = http_request();
        my $back = exchange(8080, $request);

        next if $back eq '';

        my ($status) = $back =~ m{\AHTTP/1\.[01] (\d{3}) };

        $statuses{$status // 'none'}++;
        push @bad, $request if ($status // 500) =~ /^50[^1353]/;
    }

    return 'failed: ' . join "\n", @bad if @bad;

    return "$n requests: " . join ', ', map { "$statuses{$_} x $_" }
                                        sort keys %statuses;
}


sub pick { return $_[rand @_] }


sub http_request {
    my $path = pick('/live/untouched', '/fuzz/f001', '/live/none', '/fuzz/..',
                    '/streams', '/live', '/live/%75ntouched', '//live/x', '*')
        . pick('', '/', '/playlist.m3u8', '/manifest.mpd', '/thumbnail.jpg',
               '/time', '/source/playlist.m3u8', '/ts/playlist.m3u8',
               '/source/seg-0-1.m4s', '/audio/init-x-1.mp4', '/../../../etc',
               '/%2e%2e/%2e%2e/%00', '/source/' . 'a' x rand 3000,
               '/' . random_text(40) =~ s/[\s\0]//gr)
        . pick('', '', '?', '?_HLS_msn=' . int(rand 50), '?_HLS_msn=-1&w=0',
               '?_HLS_msn=18446744073709551616', '?_HLS_msn=1&_HLS_part=9999',
               '?w=' . int(rand 1e6), '?' . '%' x rand 90, '?_HLS_skip=YES',
               '?' . random_text(40) =~ s/[\s\0]//gr);
    my $text = pick('GET', 'GET', 'GET', 'HEAD', 'POST', 'OPTIONS', 'PUT',
                    'DELETE', 'PROPFIND', 'get', "G\0T")
        . " $path HTTP/" . pick('1.1', '1.1', '1.0', '0.9', '2.0', '9') . "\r\n";

    $text .= "Host: x\r\n" if rand() < 0.9;
    $text .= 'Range: bytes=' . pick('0-', '-1', '0-0', '5-2', '99999999999-',
                                    '0-0,2-5,7-', '-0', '18446744073709551615-',
                                    'x') . "\r\n" if rand() < 0.3;
    $text .= 'If-None-Match: ' . pick('*', '"x"', 'W/"', random_text(30)
                                      =~ s/[\r\n\0]//gr) . "\r\n"
        if rand() < 0.2;
    $text .= 'Accept-Encoding: ' . pick('gzip', 'gzip;q=0', '*') . "\r\n"
        if rand() < 0.3;
    $text .= "Content-Length: 5\r\n" if rand() < 0.1;
    $text .= "Connection: close\r\n" if rand() < 0.8;

    return "$text\r\n";
}


# A byte now and then; the server closes them all, in time.
sub slow_loris {
    my ($end) = @_;

    my @open = map { { socket => open_socket($_ % 2 ? 1935 : 8080), at => 0,
                       bytes => $_ % 2 ? $session
                                       : "GET $STREAM/time HTTP/1.1\r\nX: "
                                         . 'y' x 100 } } 1 .. 300;
    my $n = @open;

    while (@open && time() < $end) {
        for my $client (@open) {
            syswrite $client->{socket}, $client->{bytes}, 1, $client->{at}++;
            $client->{closed} = is_closed($client->{socket});
        }

        @open = grep { !$_->{closed} } @open;
        sleep 0.2;
    }

    return @open ? 'failed: ' . @open . " of $n were not closed"
                 : "$n connections were closed";
}


sub is_closed {
    my ($socket) = @_;

    my $n = sysread $socket, my $in, 4096;

    return defined $n ? !$n : !$!{EAGAIN};
}


# They stay until the server closes them.
sub idle_connections {
    my ($end) = @_;

    my @open;

    my $most = 0;

    # quicker than IO::Socket; those that the server closes early come again
    while ($most < $idle && time() < $end - 5) {
        for my $i (1 .. 500) {
            socket my $socket, AF_INET, SOCK_STREAM, 0 or last;
            connect $socket, pack_sockaddr_in(
                $t->port($i % 4 ? 8080 : 1935), INADDR_LOOPBACK) or last;
            fcntl $socket, F_SETFL, O_NONBLOCK;
            push @open, $socket;
            last if @open >= $idle;
        }

        $most = @open if @open > $most;
        @open = grep { !is_closed($_) } @open if $most < $idle;
    }

    my $n = $most;

    while (@open && time() < $end + 10) {
        @open = grep { !is_closed($_) } @open;
        sleep 0.2;
    }

    return $n < $idle ? "failed: $n of $idle were open at a time"
           : @open ? 'failed: ' . @open . " of $n were not closed"
           : "$n connections at a time, and all were closed";
}


# Nothing excuses what is wrong with the stream.
package Judge;

sub bad { push @{ $_[0]{bad} }, "$_[1]: $_[2]" }
sub count { $_[0]{counts}{$_[1]} += $_[2] // 1 }
sub excused { 0 }
sub steady { 1 }
sub halted { 0 }


# Keeps what a client would send.
package Recorder;

our @ISA;
BEGIN { @ISA = ('Test::Live::RTMP') }

sub write_bytes { $_[0]{bytes} .= $_[1]; return 1 }
sub close { }
sub DESTROY { }
