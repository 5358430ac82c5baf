#!/usr/bin/env perl

# What many low-latency players cost, in counts rather than in time: a request
# that waits takes little, and what it waits for is neither made nor copied
# for each of them (HTTP-73).

use strict;
use warnings;

use Test::Live;
use Test::Live::Steps;
use Test::More;

my $PLAYERS = 250;

my $t = Test::Live->new();

# one in which a playlist is longer, one in which parts are longer than what
# the buffers of a connection take
$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 1;
events { worker_connections 1024; }
live {
    zone 128m;
    window 60s;
    resume 1h;
    publish_timeout 1h;
    application live { segment 500ms max=4s; part 100ms; }
    application big { segment 4s max=4s; part 1s; }
}
stream { server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } }
http {
    %%TEST_GLOBALS_HTTP%%
    access_log off;
    server {
        listen 127.0.0.1:%%PORT_8080%% sndbuf=4k backlog=1024;
        location /live/ { live_play live; }
        location /big/ { live_play big; }
        location = /status { stub_status; }
    }
}
CONF

$t->run();

my ($worker) = $t->workers();

test_playlists();
test_parts();

done_testing();


# --- helpers ------------------------------------------------------------------

sub publisher {
    my ($url, $ms, %clip) = @_;

    my $p = Test::Live::Steps->publish($t, $url, %clip);

    $p->upto($ms);
    $t->wait_for(sub { $p->edge('source')->{status} == 200 }, 10, 'playlist');

    return $p;
}


# KiB of the worker's own memory, without that of the zone
sub own {
    my $status = Test::Live::slurp_proc($worker, 'status');

    return $status =~ /^RssAnon:\s+(\d+)/m ? $1 : die "no RssAnon\n";
}


# its calls so far that write, but for send(): to clients, these are all
sub writes {
    my $io = Test::Live::slurp_proc($worker, 'io');

    return $io =~ /^syscw: (\d+)/m ? $1 : die "no syscw\n";
}


# responses that are being made or sent, that to this request included
sub writing {
    my $r = $t->get('/status');

    return $r->{body} =~ /Writing: (\d+)/ ? $1 : die "no status: $r->{raw}\n";
}


# Requests of that many players, which wait; slow ones have small buffers.
sub park {
    my ($path, %option) = @_;

    my $before = own();
    my @q = map { ask($t, $path, %option) } 1 .. $PLAYERS;

    settle($t);

    my $each = (own() - $before) / $PLAYERS;

    is(scalar(grep { is_held($_) } @q), $PLAYERS, "all wait for $path");
    cmp_ok($each, '<', 16, 'each takes less than 16 KiB')
        or diag("$each KiB");

    return \@q;
}


# Goes on until all are being answered, who do not read yet.
sub wake {
    my ($p, $q) = @_;

    $p->until_true(sub { Test::Live::Steps::readable($q->[-1], 0) });

    is(scalar(grep { Test::Live::Steps::readable($_, 5) } @$q), $PLAYERS,
       'all are answered');
    settle($t);
}


# The same, and what each takes until it has read, KiB.
sub wake_slow {
    my ($p, $q) = @_;

    my $before = own();

    wake($p, $q);
    is(writing(), $PLAYERS + 1, 'none has got all of it yet');

    return (own() - $before) / $PLAYERS;
}


# They read: the KiB of the one body that all of them got.
sub received {
    my ($q) = @_;

    my @answers = map { answer($_) } @$q;
    my %bodies = map { $_->{body} => 1 } @answers;

    is(scalar(grep { $_->{status} == 200 } @answers), $PLAYERS, 'all are 200');
    is(scalar(keys %bodies), 1, 'all got the same');

    return length($answers[0]{body}) / 1024;
}


sub next_playlist {
    my ($p, $more) = @_;

    my $e = $p->edge('source');

    return "$e->{path}?_HLS_msn=$e->{msn}&_HLS_part=$e->{parts}$more";
}


# --- tests --------------------------------------------------------------------

sub test_playlists {
    my $p = publisher('live/a', 45_000, gop => 15);

    my $q = park(next_playlist($p, ''), rcvbuf => 1024);
    my $took = wake_slow($p, $q);
    my $size = received($q);

    cmp_ok($size, '>', 12, 'the playlist is long');
    cmp_ok($took, '<', $size / 2, 'none is copied for a player')
        or diag("each takes $took KiB, the playlist has $size KiB");

    # a short one, of which nothing is left to be sent later

    $q = park(next_playlist($p, '&_HLS_skip=YES'));

    my $before = writes();

    wake($p, $q);

    my $calls = writes() - $before;

    received($q);
    cmp_ok($calls, '<', $PLAYERS + 100, 'an answer is one call')
        or diag("$calls calls for $PLAYERS players");
    $p->stop();
}


sub test_parts {
    my $p = publisher('big/a', 13_000, size => '640x360', seconds => 20,
                      gop => 30, extra => [qw/ -b:v 2M -minrate 2M -maxrate 2M
                                               -bufsize 2M /]);
    my $e = $p->edge('source');
    my $hint = $e->{playlist}{hints}[0] || die "no hint\n";

    my $q = park("$e->{base}/$hint->{URI}", rcvbuf => 1024);
    my $took = wake_slow($p, $q);
    my $size = received($q);

    cmp_ok($size, '>', 64, 'the part is big');
    cmp_ok($took, '<', $size / 4, 'none is copied for a player')
        or diag("each takes $took KiB, the part has $size KiB");
    $p->stop();
}
