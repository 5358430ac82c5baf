#!/usr/bin/env perl

# Variables of requests in access logs, and who is counted as a viewer.

# asan

use strict;
use warnings;

use JSON::PP;
use Test::Live;
use Test::Live::Metrics;
use Test::Live::Steps;
use Test::More;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
events { }

live {
    zone 64m;
    segment 1s max=3s;
    part 500ms;
    window 20s;
    resume 1h;
    publish_timeout 1h;

    application live { }
}

stream { server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } }

http {
    %%TEST_GLOBALS_HTTP%%

    log_format live escape=json
        '{"uri":"$request_uri","app":"$live_app","name":"$live_name",'
        '"rendition":"$live_rendition","object":"$live_object",'
        '"msn":"$live_msn","part":"$live_part","hold":"$live_hold",'
        '"blocked":"$live_blocked_time","sid":"$live_cmcd_sid",'
        '"latency":"$live_latency"}';

    set_real_ip_from 127.0.0.1;
    real_ip_header X-Address;

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        access_log %%DIR%%/live.log live;

        location /live/ { live_play live; }
        location = /metrics { live_metrics; access_log off; }
        location = /other { return 204; }
        location /page/ { live_play live; error_page 404 =200 /gone; }
        location = /gone { return 200; }
    }
}
CONF

$t->run();

my $p = Test::Live::Steps->publish($t, 'live/a', fps => 30);

$p->upto(5000);
$t->wait_for(sub { $p->edge('source')->{status} == 200 }, 10, 'playlist');

my $edge = $p->edge('source');
my $segment = $edge->{playlist}{segments}[-1];
my ($part) = $edge->{body} =~ /#EXT-X-PART:[^\n]*URI="([^"]+)"/;

playlists();
media();
blocked();
sessions();
viewers();

done_testing();


# The entry of the log for a request; each URI is used once.
sub entry {
    my ($uri, %option) = @_;

    my $r = $t->get($uri, %option);

    return logged($uri);
}


sub logged {
    my ($uri) = @_;

    my $entry = $t->wait_for(sub {
        for (reverse split /\n/, $t->read_file('live.log') // '') {
            my $e = decode_json($_);
            return $e if $e->{uri} eq $uri;
        }
        return undef;
    }, 10, "entry for $uri");

    return $entry || {};
}


sub is_entry {
    my ($uri, %want) = @_;

    my $e = entry($uri);

    is_deeply({ map { $_ => $e->{$_} } keys %want }, \%want, $uri);

    return $e;
}


sub playlists {
    my %a = (app => 'live', name => 'a', msn => '', part => '', latency => '',
             hold => '0', blocked => '0.000', sid => '');

    is_entry('/live/a/playlist.m3u8', %a, object => 'multivariant',
             rendition => '');
    is_entry('/live/a/source/playlist.m3u8', %a, object => 'playlist',
             rendition => 'source');
    is_entry('/live/a/audio/playlist.m3u8?x=1', %a, object => 'playlist',
             rendition => 'audio');
    is_entry('/live/a/manifest.mpd', %a, object => 'manifest',
             rendition => '');
    is_entry('/live/a/ts/playlist.m3u8', %a, object => 'ts_playlist');
    is_entry('/live/a/source/playlist.m3u8?_HLS_msn=1&_HLS_part=0', %a,
             object => 'playlist', msn => '1', part => '0');
    is_entry('/live/a/source/playlist.m3u8?_HLS_msn=x', %a, msn => '');
    is_entry('/live/none/playlist.m3u8', %a, name => 'none',
             object => 'multivariant', rendition => '');
    is_entry('/live/a/what', %a, app => '', name => '', object => 'unknown');
    is_entry('/page/none/source/playlist.m3u8', %a, name => 'none',
             object => 'playlist', rendition => 'source');
    is_entry('/other', %a, app => '', name => '', object => '', hold => '',
             blocked => '');
}


sub media {
    my ($msn) = $segment->{uri} =~ /-(\d+)\.m4s$/;
    my $e = is_entry("/live/a/source/$segment->{uri}", app => 'live',
                     name => 'a', rendition => 'source', object => 'segment',
                     msn => $msn, part => '');

    like($e->{latency}, qr/^-?\d+\.\d{3}$/, 'a segment has a latency');
    cmp_ok($e->{latency}, '<', 60, 'of little');

    my ($n, $i) = $part =~ /(\d+)\D(\d+)\.m4s$/;
    my $f = is_entry("/live/a/source/$part", object => 'part', msn => $n,
                     part => $i, rendition => 'source');

    like($f->{latency}, qr/^-?\d+\.\d{3}$/, 'a part has one too');

    # an older segment is further behind, by what is between the two

    my $first = $edge->{playlist}{segments}[0];
    my $g = entry("/live/a/source/$first->{uri}");

    cmp_ok($g->{latency}, '>=', $e->{latency} + 1, 'an older one is behind');
    cmp_ok($g->{latency}, '<', $e->{latency} + 30, 'but not by much');

    my ($map) = $edge->{body} =~ /#EXT-X-MAP:URI="([^"]+)"/;

    is_entry("/live/a/source/$map", object => 'init', rendition => 'source',
             latency => '');
}


sub blocked {
    my $uri = "$edge->{path}?_HLS_msn=$edge->{msn}"
              . "&_HLS_part=$edge->{parts}&held";
    my $q = ask($t, $uri);

    settle($t);
    ok(is_held($q), 'a request is held');
    is(Test::Live::Metrics->get($t, '/metrics')->value('live_held_requests'), 1,
       'and counted as such');

    $p->further(2000);
    is(answer($q)->{status}, 200, 'and answered');

    my $e = logged($uri);

    like($e->{blocked}, qr/^\d+\.\d{3}$/, 'for a time that is in the log');
    cmp_ok($e->{hold}, '>', 0, 'in milliseconds, too');
    is(sprintf('%.0f', $e->{blocked} * 1000), $e->{hold}, 'the same');
    is($e->{msn}, $edge->{msn}, 'with its segment');
    is($e->{part}, $edge->{parts}, 'and part');
}


# CTA-5004: in a query, or in a header.
sub sessions {
    my $path = '/live/a/source/playlist.m3u8';
    my $sid = '6e2fb550-c457-11e9-bb97-0800200c9a66';
    my $n = 0;

    my $of = sub {
        my ($query, @headers) = @_;
        my $uri = "$path?n=" . ++$n . ($query ? "&CMCD=$query" : '');

        return entry($uri, headers => \@headers)->{sid};
    };

    is($of->("sid%3D%22$sid%22"), $sid, 'sid alone');
    is($of->("bl%3D21300%2Ccid%3D%22a%2Csid%3D%5C%22x%5C%22%22%2Csid%3D%22$sid"
             . '%22%2Cv%3D1'), $sid, 'sid among others, one in a string');
    is($of->('cid%3D%22sid%3D%22'), '', 'none');
    is($of->('sid%3D%22'), '', 'no end');
    is($of->('sid%3D%22%22'), '', 'empty');
    is($of->('sid%3D%22a%0ab%22'), '', 'with a line break');
    is($of->('sid%3D%22' . 'x' x 128 . '%22'), 'x' x 128, 'as long as may be');
    is($of->('sid%3D%22' . 'x' x 129 . '%22'), '', 'too long');
    is($of->(undef, 'CMCD-Session' => "cid=\"c\", sid=\"$sid\""), $sid,
       'in a header');
    is($of->(undef, 'cmcd-session' => 'v=1'), '', 'a header without it');
    is($of->('sid%3D%22q%22', 'CMCD-Session' => "sid=\"$sid\""), 'q',
       'the query comes first');
}


# --- viewers ------------------------------------------------------------------

sub count {
    my ($stream) = @_;

    return Test::Live::Metrics->get($t, '/metrics')
               ->value('live_stream_viewers', stream => $stream // 'b')
           // 0;
}


# The estimate becomes the number, counting on from what there is.
sub becomes {
    my ($want, $what) = @_;

    my $got;

    $t->poll(sub { ($got = count()) == $want }, 8);
    is($got, $want, $what);
}


sub viewers {
    my $path = '/live/b/source/playlist.m3u8';
    my $b = Test::Live::Steps->publish($t, 'live/b', fps => 30);

    $b->upto(5000);

    # these make nobody a viewer

    $t->get("/live/b/$_") for 'playlist.m3u8', 'source/nothing',
                              'source/playlist.m3u8?_HLS_msn=100000';
    $t->get('/page/b/none/playlist.m3u8');

    for my $round (1 .. 3) {
        for my $n (1 .. 20) {
            $t->get("$path?CMCD=sid%3D%22viewer-$n%22");
            $t->get('/live/b/audio/playlist.m3u8', headers => [
                        'CMCD-Session' => "sid=\"viewer-$n\"",
                        'User-Agent' => "other $round" ]);
        }
    }

    becomes(20, 'sessions, each counted once');

    for my $n (1 .. 10) {
        for (1, 2) {
            $t->get($path, headers => [ 'X-Address' => "192.0.2.$n",
                                        'User-Agent' => 'one' ]);
        }

        $t->get('/live/b/manifest.mpd',
                headers => [ 'X-Address' => "192.0.2.$n",
                             'User-Agent' => 'two' ]);
    }

    becomes(40, 'addresses, by what they call themselves');

    # more than are counted exactly, of a stream of their own

    my $c = Test::Live::Steps->publish($t, 'live/c', fps => 30);

    $c->upto(5000);
    $t->get("/live/c/source/playlist.m3u8?CMCD=sid%3D%22many-$_%22")
        for 1 .. 400;

    my $got;

    $t->poll(sub { ($got = count('c')) > 380 }, 8);
    cmp_ok($got, '>', 400 * 0.95, "400 are about 400: $got");
    cmp_ok($got, '<', 400 * 1.05, 'and not many more');

    ok($t->poll(sub { count() == 0 }, 40), 'who has gone is forgotten');
}
