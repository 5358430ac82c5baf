#!/usr/bin/env perl

# How many requests may be held, of a worker and of an address, and how many
# streams transcoded.  What is beyond gets 503 at once, or no rungs; as soon as
# one ends there is room for another one.

# asan

use strict;
use warnings;

use Test::Live;
use Test::Live::RTMP;
use Test::Live::Steps;
use Test::More;

use constant RTMP => 'Test::Live::RTMP';

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
events { }

live {
    zone 128m;
    segment 2s max=3s;
    part 500ms;
    window 30s;
    resume 1h;
    publish_timeout 1h;

    application live { }

    application one {
        rendition source copy;
        rendition tiny size=64x36 video=50k preset=ultrafast;
        max_transcodes 1;
    }

    application pure {
        rendition tiny size=64x36 video=50k preset=ultrafast;
        max_transcodes 1;
    }

    application worker {
        rendition source copy;
        rendition tiny size=64x36 video=50k preset=ultrafast;
        max_transcodes off per_worker=2;
    }
}

stream { server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } }

http {
    %%TEST_GLOBALS_HTTP%%
    limit_conn_zone $binary_remote_addr zone=addresses:64k;
    set_real_ip_from 127.0.0.1;

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location /live/ { live_play live; }

        location /few/ {
            live_play live;
            live_max_parked 3 per_address=2;
        }

        location /each/ {
            live_play live;
            live_max_parked off per_address=1;
        }

        location /conn/ {
            live_play live;
            limit_conn addresses 1;
        }

        location /one/ { live_play one; }
        location /pure/ { live_play pure; }
        location /worker/ { live_play worker; }
    }
}
CONF

my $tags = RTMP->can('flv_tags')->($t->clip(seconds => 4, gop => 30));

$t->run();

my $p = Test::Live::Steps->publish($t, 'live/a');

$p->upto(5000);
$t->wait_for(sub { $p->edge('source')->{status} == 200 }, 10, 'playlist');

worker();
address();
network();
nginx();
unlimited();
application();
source();
all_of_a_worker();

done_testing();


# --- requests that are held ---------------------------------------------------

sub worker {
    my @held = map { hold('few', "192.0.2.$_") } 1 .. 3;

    ok(is_held($_), 'a request is held') for @held;

    my $r = answer(hold('few', '192.0.2.4'));

    is($r->{status}, 503, 'one more is not');
    is($r->{headers}{'retry-after'}, 1, 'it is told to come back');
    is($r->{headers}{'cache-control'}, 'public, max-age=1',
       'soon, and so is a cache');
    is($r->{headers}{'access-control-allow-origin'}, '*',
       'a script may see that');
    is($t->get('/few/a/source/playlist.m3u8')->{status}, 200,
       'what need not be held is answered');

    is(answer(hold('few', '192.0.2.5'))->{status}, 503, 'again and again');
    is(scalar(my @lines = $t->log(qr/3 requests are held, .* for one worker/)),
       1, 'the log says it once');

    # who goes away makes room
    close $held[0]{socket};

    my $next = $t->wait_for(sub {
        my $q = hold('few', '192.0.2.6');

        return is_held($q) ? $q : undef;
    }, 10, 'room for another one');

    ok($next, 'when one goes there is room for another one');
    is(answer(hold('few', '192.0.2.7'))->{status}, 503, 'for no more than one');

    $p->further(1000);
    is(answer($_)->{status}, 200, 'what was held is answered')
        for @held[1, 2], $next;

    @held = map { hold('few', "192.0.2.$_") } 1 .. 3;
    is(scalar(grep { is_held($_) } @held), 3, 'then all have room again');
    $p->further(1000);
    is(answer($_)->{status}, 200, 'and are answered') for @held;
}


sub address {
    my @held = map { hold('few', '192.0.2.1') } 1 .. 2;

    is(answer(hold('few', '192.0.2.1'))->{status}, 503,
       'one address has two requests held');
    is(scalar(my @lines = $t->log(qr/2 requests are held, .* for one address/)),
       1, 'the log says it');

    my $other = hold('few', '192.0.2.2');

    is(scalar(grep { is_held($_) } @held, $other), 3, 'another address has one');
    $p->further(1000);
    is(answer($_)->{status}, 200, 'all are answered') for @held, $other;
}


sub network {
    my @cases = (
        [ '2001:db8:1:2::1', 1, 'an address of IPv6' ],
        [ '2001:db8:1:2:ffff::9', 0, 'another one of its network' ],
        [ '2001:db8:1:3::1', 1, 'one of another network' ],
        [ '203.0.113.7', 1, 'one of IPv4' ],
        [ '::ffff:203.0.113.7', 0, 'the same in IPv6' ],
    );

    my @held;

    for (@cases) {
        my ($address, $held, $what) = @$_;

        my $q = hold('each', $address);

        is(is_held($q) ? 1 : 0, $held, $what);
        push @held, $q if $held;
        is(answer($q)->{status}, 503, "$what is too much") unless $held;
    }

    $p->further(1000);
    is(answer($_)->{status}, 200, 'those that were held are answered') for @held;

    # nothing is remembered of them
    @held = map { hold('each', $_->[0]) } grep { $_->[1] } @cases;
    is(scalar(grep { is_held($_) } @held), 3, 'and may come again');
    $p->further(1000);
    answer($_) for @held;
}


# nginx's own limit counts what is held as it counts what is sent.
sub nginx {
    my $q = hold('conn', '192.0.2.1');
    my $r = answer(hold('conn', '192.0.2.1'));

    is($r->{status}, 503, 'limit_conn counts a request that is held');

    my $other = hold('conn', '192.0.2.2');

    ok(is_held($_), 'which goes on') for $q, $other;
    $p->further(1000);
    is(answer($_)->{status}, 200, 'and is answered') for $q, $other;
}


# The default lets through what a load generator, or a cache, asks for.
sub unlimited {
    my @held = map { hold('live', '192.0.2.1') } 1 .. 200;

    is(scalar(grep { is_held($_) } @held), 200,
       '200 requests of one address are held by default');
    $p->further(1000);
    is(scalar(grep { answer($_)->{status} == 200 } @held), 200,
       'and answered');
    $p->stop();
}


# --- transcoding --------------------------------------------------------------

sub application {
    my $first = publish('one', 'a');

    ok(has_rung('one/a'), 'the first stream has a rung');

    my $second = publish('one', 'b');

    ok(has_playlist('one/b'), 'a second one is published');
    is_deeply([ renditions('one/b') ], [ 'source' ], 'but has no rung');
    is(scalar(my @lines = $t->log(qr/no\ rungs,\ 1\ streams\ of\ the
                                     \ application.*"max_transcodes"
                                     .*one\/b/x)), 1, 'the log says why');

    # what comes back does not count twice
    finish($first);
    $first = publish('one', 'a');
    ok($t->wait_for(sub {
        !(my @more = $t->log(qr/no rungs.*one\/a/)) && has_rung('one/a')
    }, 10, 'rung'), 'the first one comes back and has its rung');

    finish($first);

    my $third = $t->wait_for(sub {
        my $c = publish('one', 'c');

        return $c if has_playlist('one/c')
                     && !(my @more = $t->log(qr/no rungs.*one\/c/));
        finish($c);

        return undef;
    }, 20, 'room for a rung');

    ok(has_rung('one/c'), 'when one ends another one has a rung');
    finish($second);
    finish($third);
}


# Without rungs, players get the source after all.
sub source {
    my $first = publish('pure', 'a');

    ok(has_rung('pure/a'), 'without a copy of the source: the first stream');
    is_deeply([ renditions('pure/a') ], [ 'tiny' ], 'has its rung alone');

    my $second = publish('pure', 'b');

    ok(has_playlist('pure/b'), 'the second one can be watched');
    is_deeply([ renditions('pure/b') ], [ 'source' ], 'as its source');
    is($t->get('/pure/b/source/playlist.m3u8')->{status}, 200,
       'whose playlist is there');
    finish($_) for $first, $second;
}


sub all_of_a_worker {
    my @clients = map { publish('worker', $_) } qw/ a b /;

    ok(has_rung("worker/$_"), "stream $_ of the worker has a rung")
        for qw/ a b /;

    my $third = publish('worker', 'c');

    ok(has_playlist('worker/c'), 'a third one is published');
    is_deeply([ renditions('worker/c') ], [ 'source' ], 'but has no rung');
    is(scalar(my @lines = $t->log(qr/no\ rungs,\ the\ worker\ transcodes
                                     \ 2\ streams/x)), 1,
       'the log says why');
    finish($clients[0]);
    finish($clients[1]);
    finish($third);
}


# --- tools --------------------------------------------------------------------

# Asks for the segment that comes after the next one, as that address; returns
# when nginx has read it.
sub hold {
    my ($location, $address) = @_;

    my $e = $p->edge('source');
    my $q = ask($t, "/$location/a/source/playlist.m3u8?_HLS_msn=$e->{msn}"
                    . "&_HLS_part=$e->{parts}",
                headers => [ 'X-Real-IP' => $address ]);

    settle($t);

    return $q;
}


sub publish {
    my ($app, $name) = @_;

    my $c = RTMP->start(port => $t->port(1935), app => $app, name => $name);

    $c->send_tags($tags);

    return $c;
}


# The publication has ended, for whoever counts.
sub finish {
    my ($c) = @_;

    $c->command('deleteStream', undef, 1);
    $c->status();
    $c->close();
}


sub has_playlist {
    my ($stream) = @_;

    return $t->wait_for(sub { renditions($stream) }, 10,
                        "playlist of $stream");
}


sub has_rung {
    my ($stream) = @_;

    return $t->wait_for(sub { grep { $_ eq 'tiny' } renditions($stream) }, 20,
                        "rung of $stream");
}


# What the multivariant playlist names as variants.
sub renditions {
    my ($stream) = @_;

    my $r = $t->get("/$stream/playlist.m3u8");

    return () if $r->{status} != 200;

    return $r->{body} =~ m{^(?!\#)([\w.-]+)/playlist\.m3u8}mg;
}
