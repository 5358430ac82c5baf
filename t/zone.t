#!/usr/bin/env perl

# asan
# waits
#
# What the zone holds: as much memory as there is to fetch, nothing when all
# is over, nothing lost over many publications, and never two contents for
# one URL (invariants 2, 3 and 6, HLS-17).

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use List::Util qw/ sum0 /;
use POSIX ();
use Test::Live;
use Test::Live::M3U8;
use Test::Live::RTMP;
use Test::More;
use Time::HiRes qw/ time sleep /;

my $t = Test::Live->new();

# the smallest zone: its index has room for a handful of streams
$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 10m;
    segment 500ms max=1s;
    window 1500ms;

    application live { resume 100ms; }
    application again { resume 3s; }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
        location /again/ { live_play again; }
    }
}
CONF

my $clip = Test::Live::RTMP::flv_tags($t->clip(seconds => 6, gop => 15));
my @begin = grep { $_->{timestamp} < 2000 } @$clip;

# the MD5 of every segment that was ever fetched
my %md5;
my @changed;

$t->run();

test_exact();
test_retention();

my $room = test_room('at first');

test_cycles();

is(test_room('after many publications'), $room,
   'as many streams fit as at first: nothing is lost (invariant 6)');
is_deeply(\@changed, [], 'no URL ever had two contents (invariants 2, 3)');
cmp_ok(scalar keys %md5, '>', 100, 'of those that were compared');

done_testing();


# --- publishers and players ---------------------------------------------------

sub client {
    my ($app, $name, @tags) = @_;

    my $client = Test::Live::RTMP->start(port => $t->port(1935), app => $app,
                                         name => $name);

    $client->send_tags(\@tags);

    return $client;
}


# One that takes as long as its media: a process.
sub publisher {
    my ($app, $name) = @_;

    my $pid = fork() // die "cannot fork: $!\n";

    return $pid if $pid;

    eval {
        my $client = client($app, $name);
        my ($start, $offset) = (time(), 0);

        while (1) {
            for my $tag (grep { $_->{type} != 18 } @$clip) {
                my $ms = $tag->{timestamp} + $offset;

                sleep 0.005 while time() < $start + $ms / 1000;
                $client->send_tags([ $tag ], $offset) or die;
            }

            $offset += 6000;
        }
    };

    POSIX::_exit(0);
}


my %helpers;

END {
    my $code = $?;
    kill 'KILL', values %helpers if $t && $t->{owner} == $$;
    $? = $code;
}


sub playlist {
    my ($url) = @_;

    my $r = $t->get("$url/playlist.m3u8");

    return $r->{status} == 200 ? Test::Live::M3U8->parse($r->{body}) : undef;
}


# A segment, whose content is remembered.
sub fetch {
    my ($url) = @_;

    my $r = $t->get($url);

    if ($r->{status} == 200) {
        my $md5 = md5_hex($r->{body});

        push @changed, $url if ($md5{$url} ||= $md5) ne $md5;
    }

    return $r;
}


sub fetch_all {
    my ($stream) = @_;

    for my $track ("$stream/source", "$stream/audio") {
        my $playlist = playlist($track) or next;
        fetch("$track/$_->{uri}") for @{ $playlist->{segments} };
    }
}


# Waits until a segment is listed, where parts alone come first.
sub listed {
    my ($url) = @_;

    return $t->poll(sub { @{ (playlist($url) || return)->{segments} } }, 10);
}


# Bytes of memory that the zone's file has.
sub blocks {
    for my $fd (glob '/proc/' . $t->master() . '/fd/*') {
        next unless (readlink($fd) // '') =~ /memfd:ngx_live/;
        return (stat $fd)[12] * 512;
    }

    die "no memfd\n";
}


sub wait_empty {
    my ($what) = @_;

    ok($t->wait_for(sub { blocks() == 0 }, 30, 'memory given back'),
       "$what: all memory is given back (invariant 6)")
        or diag(blocks() . ' bytes are left');
}


# --- memory and what can be fetched -------------------------------------------

sub test_exact {
    my $client = client('again', 'exact', @$clip);

    $client->stop('exact');

    my ($held, $count);

    # the publisher is gone: nothing is open, nothing ages before its return
    ok($t->wait_for(sub {
        ($held, $count) = (0, 0);

        for my $track ('/again/exact/source', '/again/exact/audio') {
            my $playlist = playlist($track) or return;
            my $uri = $playlist->{segments}[-1]{uri};

            for my $msn (1 .. $playlist->{segments}[-1]{msn}) {
                my $r = fetch("$track/" . $uri =~ s/\d+\.m4s/$msn.m4s/r);
                next if $r->{status} != 200;

                my $size = length $r->{body};
                $held += $size + -$size % 4096;
                $count++;
            }
        }

        return blocks() == $held;
    }, 3, 'agreement'), 'memory is that of the segments, in whole pages, to '
                        . 'the byte (invariant 6)')
        or diag(blocks() . " bytes for $held in $count segments");

    cmp_ok($count, '>', 8, 'in several segments');
    wait_empty('after its end');
    is($t->get('/again/exact/source/playlist.m3u8')->{status}, 404,
       'an ended stream is forgotten in the end');
}


# HLS-17: for its own duration and that of the longest playlist after it has
# left; the window is 1.5 s, a segment 0.5 s.
sub test_retention {
    my (%listed, %gone, @early);
    my $most = 0;

    $helpers{retention} = publisher('live', 'retention');

    ok($t->wait_for(sub {
        my $asked = time();
        my $playlist = playlist('/live/retention/source') or return;

        for my $segment (@{ $playlist->{segments} }) {
            $listed{$segment->{uri}} = $asked;
        }

        for my $uri (sort keys %listed) {
            next if $gone{$uri};

            my $asked = time();
            my $r = fetch("/live/retention/source/$uri");
            next if $r->{status} == 200;

            $gone{$uri} = $r->{status};
            push @early, "$uri: " . ($asked - $listed{$uri})
                if $asked - $listed{$uri} < 2;
        }

        $most = blocks() if $most < blocks();

        return keys %gone >= 4;
    }, 30, 'segments to go'), 'segments go away when they are old');

    is_deeply(\@early, [],
              'none goes earlier than its duration and that of the playlist '
              . 'after it has left (HLS-17)');
    is(join(' ', sort values %gone), '404 ' x (keys(%gone) - 1) . '404',
       'what is gone is 404');

    # 6 s of 2 tracks and what is reserved for them
    cmp_ok($most, '<', 1024 * 1024, 'memory is bounded by the window');

    kill 'KILL', $helpers{retention};
    waitpid delete $helpers{retention}, 0;
    wait_empty('after a publisher was killed');
}


# --- many publications --------------------------------------------------------

# How many streams fit.
sub test_room {
    my ($when) = @_;

    my @clients;
    my $refusal = '';

    for my $n (1 .. 100) {
        my $name = "room$n";
        my $client = eval { client('live', $name, @begin) };

        if (!$client) {
            $refusal = $@;
            last;
        }

        push @clients, $client;

        last unless $t->poll(sub {
            my @tracks = grep { $_ && @{ $_->{segments} } }
                         map { playlist("/live/$name/$_") } qw/ source audio /;

            @tracks == 2 || $client->is_closed(0.02)
        }, 10) && !$client->is_closed(0.02);
    }

    pop @clients if @clients && $clients[-1]->is_closed(0.02);
    cmp_ok(scalar @clients, '>=', 2, "$when: streams fit");
    note(scalar @clients . ' streams');

    # at once and by its code, not at the first frame (RTMP-70)
    like($refusal, qr/NetStream\.Publish\.Denied/,
         "$when: one more is refused when the index is full");

    fetch_all("/live/room$_") for 1 .. @clients;
    $_->close() for @clients;
    wait_empty($when);

    # the index is given back with it, at the next look
    ok($t->wait_for(sub { !grep { playlist("/live/room$_/source") } 1 .. 20 },
                    20, 'index given back'), "$when: all are forgotten");

    return scalar @clients;
}


# New streams come and go, and one stream is published again and again.
sub test_cycles {
    my ($cycles, $streams, $last) = (0, 0, '');
    my $full = qr/zone is full|index of the live zone/;
    my $before = () = $t->log($full);

    for my $round (1 .. 3) {
        my @names = map { "cycle$_" } 1 .. $room / 2;

        for my $name (@names) {
            my $client = eval { client('live', $name, @begin) }
                or fail("round $round: $name is refused: $@");

            listed("/live/$name/source");
            fetch_all("/live/$name");
            $client->stop($name);
            $streams++;
        }

        for (1 .. 1000) {
            my ($client, $after);

            # the one before is gone when its worker has seen it go
            $t->poll(sub { $client = eval { client('again', 'again', @begin) } },
                     10) or fail("cycle $cycles is refused: $@");

            # something of this one, and not of those before alone
            $t->poll(sub {
                my $p = playlist('/again/again/source') or return;

                $after = ($p->{segments}[-1] || return)->{uri};
                return $after ne $last;
            }, 10);
            $last = $after;

            fetch_all('/again/again');
            $client->close();
            $cycles++;

            last unless grep { playlist("/live/$_/source") } @names;
        }
    }

    cmp_ok($cycles + $streams, '>=', 50, "$cycles publications of a stream "
                                         . "and $streams streams");
    is(scalar(() = $t->log($full)), $before,
       'the zone was full only when it was filled on purpose');
    wait_empty('after many publications');
}
