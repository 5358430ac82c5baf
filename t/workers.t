#!/usr/bin/env perl

# Several workers: a publisher lands on any of them, playback is right on all
# of them at once, and the death of one takes nothing away that was published
# (invariants 1, 3 and 7).
#
# waits

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use IO::Socket::INET;
use Socket qw/ SO_RCVBUF SOL_SOCKET /;
use Test::More;
use Test::Live;
use Test::Live::M3U8;

my $conf = <<'CONF';
worker_processes WORKERS;
%%TEST_GLOBALS%%
events { }
live {
    zone 64m;
    segment 500ms;
    window 60s;
    resume 1h;
    application live { }
    application short { window 2s; }
}
stream {
    server { listen 127.0.0.1:%%PORT_1935%% reuseport; live_rtmp; }
}
http {
    %%TEST_GLOBALS_HTTP%%
    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport sndbuf=4k;
        add_header X-Pid $pid always;
        location /live/ { live_play live; }
        location /short/ { live_play short; }
    }
}
CONF

my %clip = (seconds => 10, gop => 15);

# what a URL has given, for the whole life of an nginx (invariant 3)
my %seen;

landing(2);
landing(3);
deaths();

done_testing();


# --- helpers ------------------------------------------------------------------

sub start {
    my ($workers) = @_;

    my $t = Test::Live->new();

    %seen = ();
    $t->write_file_expand('nginx.conf', $conf =~ s/WORKERS/$workers/r);
    $t->run();

    is($t->workers(), $workers, "$workers workers run");

    return $t;
}


sub playlist {
    my ($t, $path) = @_;

    my $r = $t->get("$path/playlist.m3u8");
    my $p = Test::Live::M3U8->parse($r->{body});

    $p->{pid} = $r->{headers}{'x-pid'};
    $p->{status} = $r->{status};

    return $p;
}


sub last_msn {
    my ($p) = @_;

    return @{ $p->{segments} } ? $p->{segments}[-1]{msn} : 0;
}


# Everything that a media playlist names and that is there.
sub urls {
    my ($path, $p) = @_;

    my %maps = map { $_->{map} => 1 } @{ $p->{segments} };

    return map { "$path/$_" } sort(keys %maps),
           map { $_->{uri} } grep { !$_->{gap} } @{ $p->{segments} };
}


# The worker that holds the publisher of a stream, by the log.
sub owner {
    my ($t, $stream) = @_;

    my ($line) = reverse $t->log(qr{publishing begins.*"\Q$stream\E"});

    return ($line // '') =~ /\] (\d+)#/ ? $1 : 0;
}


sub remember {
    my ($path, $r) = @_;

    return if $path =~ /playlist/;

    my $sum = md5_hex($r->{body});

    $seen{$path} //= $sum;

    return $seen{$path} eq $sum ? () : ("$path has other bytes now");
}


# Asks over new connections until each of the workers has answered twice; what
# is different between them, or wrong with one.
sub differences {
    my ($t, $path, @workers) = @_;

    my (%left, @wrong, $first);

    %left = map { $_ => 2 } @workers;

    for (1 .. 400) {
        last unless grep { $_ > 0 } values %left;

        my $r = $t->get($path);
        my %h = %{ $r->{headers} };
        my $pid = delete $h{'x-pid'} // 0;

        delete $h{date};
        $left{$pid}-- if exists $left{$pid};

        my $headers = join "\n", map { "$_: $h{$_}" } sort keys %h;

        $first //= { body => $r->{body}, headers => $headers };

        push @wrong, "$path: $r->{status} $r->{error} of $pid"
            if $r->{status} != 200 || $r->{truncated};
        push @wrong, "$path: other bytes of $pid"
            if $r->{body} ne $first->{body};
        push @wrong, "$path: other headers of $pid"
            if $headers ne $first->{headers};
        push @wrong, remember($path, $r);
    }

    push @wrong, "$path: $_ has not answered"
        for grep { $left{$_} > 0 } keys %left;

    return @wrong;
}


# --- streams on any worker ----------------------------------------------------

sub landing {
    my ($n) = @_;

    my $t = start($n);
    my @workers = $t->workers();
    my (%owners, @streams);

    # until each of them holds one
    for my $i (1 .. 24) {
        last if @streams >= 3 && keys %owners == $n;

        my $pid = $t->ffmpeg_publish("live/s$i", realtime => 0,
                                     clip => { seconds => 3, gop => 15 });

        $t->wait_exit($pid, 30);
        push @streams, "s$i";
        push @{ $owners{ owner($t, "live/s$i") } }, "s$i";
    }

    is_deeply([ sort { $a <=> $b } keys %owners ], \@workers,
              "$n workers: publishers landed on all of them");

    my @wrong;

    for my $stream (@streams) {
        push @wrong, differences($t, "/live/$stream/playlist.m3u8", @workers);

        for my $rendition (qw/ source audio /) {
            my $path = "/live/$stream/$rendition";
            my $p = playlist($t, $path);

            push @wrong, @{ $p->{errors} };
            push @wrong, "$path: few segments" if @{ $p->{segments} } < 6;
            push @wrong, map { differences($t, $_, @workers) }
                         "$path/playlist.m3u8", urls($path, $p);
        }
    }

    is_deeply(\@wrong, [], "$n workers: identical bytes, ETags and headers "
                           . 'of all from each (HTTP-25, invariant 1)');

    at_once($t, $n, @workers);
}


# What one worker has shown the others show from then on.
sub at_once {
    my ($t, $n, @workers) = @_;

    my $pid = $t->ffmpeg_publish('live/now', clip => \%clip);
    my (%answered, $old, @wrong);

    $t->wait_for(sub {
        my $p = playlist($t, '/live/now/source');

        # nothing yet, or parts alone
        return 0 if !$old && ($p->{status} == 404 || !@{ $p->{segments} });

        push @wrong, @{ $p->{errors} };
        push @wrong, $p->changes_since($old) if $old;

        # the newest of one is there on whichever answers next
        my $r = $t->get("/live/now/source/$p->{segments}[-1]{uri}");

        push @wrong, "segment $p->{segments}[-1]{msn} of $p->{pid}: "
                     . "$r->{status} of $r->{headers}{'x-pid'}"
            if $r->{status} != 200;
        push @wrong, remember("/live/now/source/$p->{segments}[-1]{uri}", $r);

        $answered{ $p->{pid} }++;
        $old = $p;

        return @wrong || (last_msn($p) >= 6 && keys %answered == @workers);
    }, 30, 'segment 6 on all workers');

    $t->end($pid);
    is_deeply(\@wrong, [], "$n workers: no playlist is behind another "
                           . '(HLS-11, HLS-12)');
    is_deeply([ sort { $a <=> $b } keys %answered ], \@workers,
              "$n workers: each has answered");
}


# --- deaths -------------------------------------------------------------------

sub deaths {
    my $t = start(3);

    $t->allow_log(qr/worker process \d+ exited on signal 9/);

    other_dies($t);
    publisher_dies($t, 'live');
    publisher_dies($t, 'short');
}


sub live_stream {
    my ($t, $stream, $msn) = @_;

    my $pid = $t->ffmpeg_publish($stream, clip => \%clip, loop => -1);

    $t->wait_for(sub { last_msn(playlist($t, "/$stream/source")) >= $msn
                       && last_msn(playlist($t, "/$stream/audio")) >= $msn },
                 30, "segment $msn of $stream");

    return $pid;
}


# A viewer who has read the header, on a worker that is not one of these.
sub viewer {
    my ($t, $path, @not) = @_;

    for (1 .. 100) {
        my $socket = IO::Socket::INET->new(Proto => 'tcp');

        setsockopt $socket, SOL_SOCKET, SO_RCVBUF, pack 'i', 2048;
        connect $socket, Socket::pack_sockaddr_in($t->port(8080),
                                              Socket::inet_aton('127.0.0.1'));
        syswrite $socket, "GET $path HTTP/1.1\r\nHost: h\r\n"
                          . "Connection: close\r\n\r\n";

        my $raw = '';

        while ($raw !~ /\r\n\r\n/) {
            last unless sysread $socket, $raw, 1, length $raw;
        }

        my ($pid) = $raw =~ /^X-Pid: (\d+)/m;

        return ($socket, $pid) unless !$pid || grep { $pid == $_ } @not;
    }

    return;
}


sub rest {
    my ($socket) = @_;

    my $body = '';

    while (sysread $socket, $body, 65536, length $body) { }

    return $body;
}


sub kill_worker {
    my ($t, $pid, $name) = @_;

    kill 'KILL', $pid;

    ok($t->wait_for(sub {
        my @now = $t->workers();
        return @now == 3 && !grep { $_ == $pid } @now;
    }, 15, 'new worker'), "$name: the master starts another (invariant 7)");
}


sub other_dies {
    my ($t) = @_;

    my $publisher = live_stream($t, 'live/a', 3);
    my $owner = owner($t, 'live/a');
    my ($victim) = grep { $_ != $owner } $t->workers();
    my $before = playlist($t, '/live/a/source');
    my $path = "/live/a/source/$before->{segments}[0]{uri}";
    my $whole = $t->get($path)->{body};
    my ($socket, $worker) = viewer($t, $path, $victim);

    ok($socket, "a viewer reads from worker $worker");
    kill_worker($t, $victim, 'a worker without the publisher is killed');
    ok(rest($socket) eq $whole, 'the viewer on another one has all bytes');

    ok($t->wait_for(sub { last_msn(playlist($t, '/live/a/source'))
                          >= last_msn($before) + 3 }, 20, 'new segments'),
       'the publisher goes on');

    my $p = playlist($t, '/live/a/source');

    is_deeply([ @{ $p->{errors} }, $p->changes_since($before) ], [],
              'the playlist keeps the rules');
    is((grep { $_->{discontinuity} } @{ $p->{segments} }), 0,
       'no discontinuity came of it');
    is(owner($t, 'live/a'), $owner, 'nor another publication');
    ok($t->is_running($publisher), 'the encoder has noticed nothing');

    my @wrong = map { differences($t, $_, $t->workers()) }
                urls('/live/a/source', $p);

    is_deeply(\@wrong, [], 'each worker, the new one too, serves all of it');

    $t->end($publisher);
}


sub publisher_dies {
    my ($t, $app) = @_;

    my $stream = "$app/k";
    my $encoder = live_stream($t, $stream, 5);
    my $owner = owner($t, $stream);
    my (%before, %bytes);

    for my $rendition (qw/ source audio /) {
        my $path = "/$stream/$rendition";
        my $p = $before{$rendition} = playlist($t, $path);

        remember($_, $bytes{$_} = $t->get($_)) for urls($path, $p);
    }

    my ($path) = grep { /\.m4s/ } sort keys %bytes;
    my ($socket) = viewer($t, $path, $owner);

    kill_worker($t, $owner, "$app: the worker with the publisher is killed");
    ok(rest($socket) eq $bytes{$path}{body},
       "$app: a viewer on another worker has all bytes (invariant 7)");
    ok(defined $t->wait_exit($encoder, 20), "$app: the encoder is cut off");

    my @wrong = map { differences($t, $_, $t->workers()) } sort keys %bytes;

    is_deeply(\@wrong, [], "$app: what was published is served with the same "
                           . 'bytes by all (invariants 3, 7)');

    $encoder = $t->ffmpeg_publish($stream, clip => \%clip, loop => -1);

    comes_back($t, $app, \%before);
    isnt(owner($t, $stream), $owner, "$app: another worker has it");
    $t->end($encoder);

    is_deeply([ map { differences($t, $_, $t->workers()) } sort keys %bytes ],
              [], "$app: the URLs of before still have their bytes")
        if $app eq 'live';
}


# Reads on until the new publication fills the playlists.
sub comes_back {
    my ($t, $app, $before) = @_;

    my %watch = map { $_ => { name => "$app $_", path => "/$app/k/$_",
                              before => $before->{$_}, old => $before->{$_},
                              tags => {}, wrong => [] } } keys %$before;

    ok($t->wait_for(sub {
        my @ready = grep { has_filled($t, $app, $_) } values %watch;

        return @ready == keys %watch;
    }, 30, 'new segments'), "$app: the playlists go on");

    check_return($t, $app, $watch{$_}) for sort keys %watch;

    is_deeply($watch{source}{tags}, $watch{audio}{tags},
              "$app: video and audio have it at the same number");
}


# True when the discontinuity stands two segments back, or has left the
# playlist where that is short; or when something is wrong.
sub has_filled {
    my ($t, $app, $watch) = @_;

    my $p = playlist($t, $watch->{path});
    my ($epoch) = $watch->{before}{segments}[0]{uri} =~ /^seg-(\w+)-/;
    my $wrong = $watch->{wrong};

    push @$wrong, @{ $p->{errors} }, $p->changes_since($watch->{old});
    $watch->{old} = $p;

    for (@{ $p->{segments} }) {
        $watch->{tags}{ $_->{msn} } = 1 if $_->{discontinuity};
        push @$wrong, "another epoch: $_->{uri}"
            unless $_->{uri} =~ /^seg-\Q$epoch\E-$_->{msn}\.m4s$/;
    }

    my ($at) = sort { $a <=> $b } keys %{ $watch->{tags} };

    return @$wrong || ($at && last_msn($p) >= $at + 2
                       && ($app eq 'live' || $p->{sequence} > $at));
}


sub check_return {
    my ($t, $app, $watch) = @_;

    my ($name, $p) = @{$watch}{qw/ name old /};
    my @tags = keys %{ $watch->{tags} };

    is_deeply($watch->{wrong}, [], "$name: by the rules, in the same epoch "
                                   . '(HLS-8, 11, 12, invariant 3)');
    is(@tags, 1, "$name: one DISCONTINUITY (HLS-19)");
    cmp_ok($tags[0] // 0, '>', last_msn($watch->{before}),
           "$name: after what was there");

    if ($app eq 'live') {
        is($p->{discontinuity_sequence}, 0, "$name: it is still listed");
        is($p->{segments}[-1]{dsn}, 1, "$name: what follows has number 1");

    } else {
        is($p->{discontinuity_sequence}, 1,
           "$name: DISCONTINUITY-SEQUENCE counts what has left (HLS-20)");
        is((grep { $_->{discontinuity} } @{ $p->{segments} }), 0,
           "$name: its tag has left");
    }

    my @wrong;

    for my $url (urls($watch->{path}, $p)) {
        my $r = $t->get($url);

        push @wrong, "$url: $r->{status}" if $r->{status} != 200;
        push @wrong, remember($url, $r);
    }

    is_deeply(\@wrong, [], "$name: no URL has other bytes (invariant 3)");
}
