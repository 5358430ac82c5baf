#!/usr/bin/env perl

# Every class of response and its Cache-Control (HTTP-1 to HTTP-19), what
# live_cache_control makes of it, and what is made on demand or needs no stream:
# MPEG-TS, thumbnails, the clock.

# asan

use strict;
use warnings;

use Test::Live;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::Live::Steps;
use Test::More;
use Time::HiRes qw/ time /;
use Time::Local qw/ timegm /;

my $t = Test::Live->new();

my @classes = qw/ multivariant playlist blocking ended manifest init segment
                  part thumbnail time early late error /;

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
events { }
live {
    zone 64m;
    segment 2s max=3s;
    part 500ms;
    window 12s;
    resume 1h;
    publish_timeout 1h;
    application live { }
    application brief { resume 1s; }
    application plain { segment 4s; part 0; }
    application short { resume 5s; }
}
stream { server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } }
http {
    %%TEST_GLOBALS_HTTP%%
    live_cache_control init "http level";
    live_cache_control late "http level";
    map $uri $class { default playlist; }

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        live_cache_control init "public, max-age=31536000, immutable";
        live_cache_control late "public, max-age=10";

        location /live/ { live_play live; }
        location /brief/ { live_play brief; }
        location /plain/ { live_play plain; }
        location /short/ { live_play short; }
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;

        live_cache_control multivariant "x, multivariant";
        live_cache_control playlist "x, playlist";
        live_cache_control blocking "x, blocking";
        live_cache_control ended "x, ended";
        live_cache_control manifest "x, manifest";
        live_cache_control init "x, init";
        live_cache_control segment "x, segment";
        live_cache_control part "x, part";
        live_cache_control thumbnail "x, thumbnail";
        live_cache_control time "x, time";
        live_cache_control early "x, early";
        live_cache_control late "x, late";
        live_cache_control error "x, error";

        location /live/ { live_play live; }
        location /brief/ { live_play brief; }
    }

    server {
        listen 127.0.0.1:%%PORT_8082%%;

        location / {
            live_cache_control segment off;
            live_cache_control error off;
            live_cache_control part "outer";

            location /live/ {
                live_cache_control part "inner";
                live_play live;

                location ~ init { }
                location ~ ts$ { expires 5s; }
            }
        }
    }
}
CONF

$t->run();

my $p = Test::Live::Steps->publish($t, 'live/a', seconds => 60);

$p->upto(7500);
$t->wait_for(sub { $p->edge('source')->{status} == 200 }, 10, 'playlist');

my $brief = Test::Live::Steps->publish($t, 'brief/a', tags => $p->{tags});

$brief->upto(3000);
$t->wait_for(sub { $brief->edge('source')->{status} == 200 }, 10, 'playlist');
$brief->stop();
$t->wait_for(sub { $brief->edge('source')->{playlist}{endlist} }, 15, 'end');

my $e = $p->edge('source');
my ($epoch) = $e->{body} =~ /seg-(\w+)-/;
my $last = $e->{msn} - 1;
my $base = "/live/a/source";

# class => [ request, status, default ]
my $year = 'public, max-age=31536000, immutable';
my $second = 'public, max-age=1';

my %request = (
    multivariant => [ '/live/a/playlist.m3u8', 200, $second ],
    playlist     => [ "$base/playlist.m3u8", 200, $second ],
    blocking     => [ "$base/playlist.m3u8?_HLS_msn=$last", 200,
                      'public, max-age=9' ],
    ended        => [ '/brief/a/source/playlist.m3u8', 200, $second ],
    manifest     => [ '/live/a/manifest.mpd', 200, $second ],
    init         => [ "$base/init-$epoch-1.mp4", 200, $year ],
    segment      => [ "$base/seg-$epoch-$last.m4s", 200, $year ],
    part         => [ "$base/seg-$epoch-$last.0.m4s", 200, $year ],
    thumbnail    => [ '/live/a/thumbnail.jpg?w=64', 200, 'public, max-age=2' ],
    time         => [ '/live/a/time', 200, 'no-store' ],
    early        => [ "$base/seg-$epoch-" . ($last + 9) . '.m4s', 404,
                      $second ],
    late         => [ "$base/seg-$epoch-$last.99.m4s", 404,
                      'public, max-age=10' ],
    error        => [ '/live/nobody/playlist.m3u8', 404, $second ],
);

is_deeply([ sort keys %request ], [ sort @classes ], 'every class is asked for');

test_classes();
test_levels();
test_ages();
test_configuration();
test_manifest();
test_time();
test_ts();
test_thumbnail();

done_testing();


# --- classes ------------------------------------------------------------------

sub test_classes {
    for my $class (@classes) {
        my ($path, $status, $default) = @{ $request{$class} };
        my $r = $t->get($path);
        my $other = $t->get($path, port => $t->port(8081));

        is($r->{status}, $status, "$class: $status") or diag($r->{raw});
        is($r->{headers}{'cache-control'}, $default, "$class: by default");
        is($r->{headers}{'access-control-allow-origin'}, '*', "$class: CORS");
        is($r->{headers}{'timing-allow-origin'}, '*',
           "$class: timing (HTTP-37)");
        is($r->{headers}{'x-content-type-options'}, 'nosniff',
           "$class: no sniffing (HTTP-33)");

        is($other->{status}, $status, "$class: the same with another value");
        is($other->{headers}{'cache-control'}, "x, $class",
           "$class: live_cache_control");

        next if $status != 200;

        my $head = $t->get($path, method => 'HEAD');

        is($head->{headers}{'cache-control'}, $default, "$class: HEAD");
        is($head->{headers}{'content-length'}, $r->{headers}{'content-length'},
           "$class: the length by HEAD (HTTP-30)");
        is($t->get($path, method => 'OPTIONS')->{status}, 204,
           "$class: a preflight");

        my $post = $t->get($path, method => 'POST', port => $t->port(8081));

        is($post->{status}, 405, "$class: POST");
        is($post->{headers}{'cache-control'}, 'x, error',
           "$class: 405 is an error");
    }

    my $port = $t->port(8081);
    my $r = $t->get("$base/playlist.m3u8?_HLS_part=1", port => $port);

    is("$r->{status} $r->{headers}{'cache-control'}", '400 x, error', '400: its class');

    $r = $t->get($request{segment}[0], port => $port,
                 headers => { Range => 'bytes=99999999-' });
    is("$r->{status} $r->{headers}{'cache-control'}", '416 x, error', '416: its class');

    $r = $t->get($request{segment}[0], port => $port,
                 headers => { Range => 'bytes=0-1' });
    is("$r->{status} $r->{headers}{'cache-control'}", '206 x, segment',
       '206: its class');

    $r = $t->get($request{part}[0], port => $port,
                 headers => { 'If-None-Match' => "\"$epoch-$last.0\"" });
    is("$r->{status} $r->{headers}{'cache-control'}", '304 x, part', '304: its class');
}


sub test_levels {
    my $port = $t->port(8082);
    my $cache = sub {
        $t->get($_[0], port => $port)->{headers}{'cache-control'}
    };

    is($cache->($request{segment}[0]), undef, 'off: no header');
    is($cache->($request{error}[0]), undef, 'off: nor with errors');
    is($cache->($request{part}[0]), 'inner', 'the inner location counts');
    is($cache->($request{init}[0]), 'http level',
       'a nested location has that of http');
    is($cache->($request{late}[0]), 'http level', 'each class by itself');
    is($cache->($request{playlist}[0]), $second, 'and its default');
    is($cache->("/live/a/ts/seg-$epoch-$last.ts"), 'max-age=5',
       'expires adds what is off');
}


sub test_ages {
    my $plain = Test::Live::Steps->publish($t, 'plain/a', tags => $p->{tags});

    $plain->upto(9000);
    $t->wait_for(sub { $plain->edge('source')->{status} == 200 }, 10,
                 'playlist');

    for my $path ('/plain/a/playlist.m3u8', '/plain/a/source/playlist.m3u8',
                  '/plain/a/ts/playlist.m3u8')
    {
        is($t->get($path)->{headers}{'cache-control'}, 'public, max-age=2',
           "$path: half a segment without low latency (HTTP-2)");
    }

    $plain->stop();

    my $short = Test::Live::Steps->publish($t, 'short/a', tags => $p->{tags});

    $short->upto(5000);

    my $now = $short->edge('source');

    $now = $short->edge('source', '?_HLS_msn=' . ($now->{msn} - 1));

    is($now->{headers}{'cache-control'}, 'public, max-age=5',
       'a blocking answer is not kept for longer than resume');
    $short->stop();
}


sub test_configuration {
    my $conf = $t->read_file('nginx.conf');
    my $add = sub {
        return $t->nginx_t($conf =~ s/^( +)map /$1$_[0]\n$1map /mr);
    };

    my ($code, $output) = $add->('live_cache_control nothing "x";');

    isnt($code, 0, 'an unknown class is refused');
    like($output, qr/unknown class "nothing".*there are: \Q@classes\E/,
         'and all are named');

    ($code, $output) = $add->('live_cache_control time x;'
                              . ' live_cache_control time y;');
    isnt($code, 0, 'a class twice is refused');
    like($output, qr/duplicate "live_cache_control time"/, 'by name');

    ($code, $output) = $add->('live_cache_control time;');
    isnt($code, 0, 'a value is needed');
}


# --- the manifest and the clock -----------------------------------------------

sub test_manifest {
    my $r = $t->get('/live/a/manifest.mpd');

    is($r->{headers}{'content-type'}, 'application/dash+xml',
       'the manifest: its type');
    like($r->{body}, qr/\A<\?xml .*<MPD .*<\/MPD>\s*\z/s, 'it is one');
    is($r->{headers}{vary}, 'Accept-Encoding', 'Vary');
    ok($r->{headers}{etag}, 'an ETag');

    my $gzip = $t->get('/live/a/manifest.mpd',
                       headers => { 'Accept-Encoding' => 'gzip' });

    is($gzip->{headers}{'content-encoding'}, 'gzip', 'gzip (HTTP-39)');
    is($gzip->{headers}{etag}, $r->{headers}{etag} =~ s/"$/-gz"/r,
       'with an ETag of its own');
    is($t->get('/live/a/manifest.mpd',
               headers => { 'If-None-Match' => $r->{headers}{etag} })
         ->{status}, 304, 'not modified: 304');
    is($t->get('/live/a/source/manifest.mpd')->{status}, 404,
       'not of a rendition');
}


sub test_time {
    for my $path ('/live/a/time', '/live/nobody/time') {
        my $before = time();
        my $r = $t->get($path);
        my $after = time();

        is($r->{status}, 200, "$path: 200, whether there is a stream or not");
        is($r->{headers}{'content-type'}, 'text/plain', "$path: its type");

        my ($year, $month, @rest) = $r->{body} =~
            /\A(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3})Z\z/
            or fail("$path: an xs:dateTime (DASH-47)"), next;

        my ($day, $hour, $minute, $second, $ms) = @rest;
        my $time = timegm($second, $minute, $hour, $day, $month - 1, $year)
                   + $ms / 1000;

        cmp_ok($time, '>=', int($before * 1000) / 1000, "$path: not before");
        cmp_ok($time, '<=', $after, "$path: and not after");
    }

    is($t->get($_)->{status}, 404, "$_: 404")
        for '/live/time', '/live/a/b/time', '/live/a/time/', '/live/.a/time';
}


# --- what is made on demand ---------------------------------------------------

sub test_ts {
    my $r = $t->get('/live/a/ts/playlist.m3u8');

    is($r->{status}, 200, 'MPEG-TS: a playlist') or diag($r->{raw});
    is($r->{headers}{'content-type'}, 'application/vnd.apple.mpegurl',
       'MPEG-TS: its type');

    my $playlist = Test::Live::M3U8->parse($r->{body});

    is_deeply($playlist->{errors}, [], 'MPEG-TS: it keeps the rules');
    is($t->get('/live/a/ts/playlist.m3u8?_HLS_msn=99')->{body}, $r->{body},
       'MPEG-TS: no directives');

    my ($all, %etags) = ('');

    for my $segment (@{ $playlist->{segments} }) {
        my $path = "/live/a/ts/$segment->{uri}";
        my @asked = map { ask($t, $path) } 1 .. 3;
        my @got = map { answer($_, 30) } @asked;

        is($_->{status}, 200, "$segment->{uri}: 200") for @got;
        is($got[0]{headers}{'content-type'}, 'video/mp2t', 'its type');
        is($got[0]{headers}{'cache-control'}, $year, 'its class');
        is($got[0]{headers}{'content-length'} % 188, 0, 'whole packets');
        ok($got[0]{body} eq $got[1]{body} && $got[0]{body} eq $got[2]{body},
           'made once for all who ask');
        $etags{ $got[0]{headers}{etag} }++;
        $all .= $got[0]{body};

        is($t->get($path, headers => { Range => 'bytes=0-0' })->{body}, 'G',
           'a range of it');
    }

    my $count = @{ $playlist->{segments} };

    cmp_ok($count, '>', 1, 'MPEG-TS: several segments');
    is(keys %etags, $count, 'MPEG-TS: an ETag each');

    # every frame that the segments of MP4 have
    my ($frames, $listed) = (0, $p->edge('source')->{playlist});

    for my $segment (@{ $listed->{segments} }) {
        next unless grep { $_->{msn} == $segment->{msn} }
                    @{ $playlist->{segments} };
        $frames += @{ Test::Live::MP4->segment(
            $t->get("$base/$segment->{uri}")->{body})->{samples} };
    }

    $t->write_file('all.ts', $all);

    my ($code, $output) = $t->command(
        qw/ ffprobe -v error -count_frames -select_streams v -show_entries
            stream=nb_read_frames -of csv=p=0 /, $t->dir() . '/all.ts');

    is($code, 0, 'ffprobe reads the TS');
    is(($output =~ /^(\d+)/)[0], $frames, 'and finds every frame');

    my @missing = ([ "seg-$epoch-" . ($last + 5), $second ],
                   [ "seg-$epoch-" . ($last + 1), $second ]);

    for (@missing) {
        my ($name, $cache) = @$_;
        my $r = $t->get("/live/a/ts/$name.ts");

        is($r->{status}, 404, "$name.ts: 404");
        is($r->{headers}{'cache-control'}, $cache, "$name.ts: Cache-Control");
    }

    is($t->get("/live/a/$_")->{status}, 404, "$_: 404")
        for "ts/seg-$epoch-$last.m4s", "ts/seg-$epoch-$last.0.ts",
            "ts/seg-$epoch-0$last.ts", "source/seg-$epoch-$last.ts",
            "ts/init-$epoch-1.mp4", "ts/seg-$epoch-0.ts";
}


sub test_thumbnail {
    my %width = ('' => 320, '?w=64' => 64, '?w=160&x=1' => 160, '?w=32' => 32);

    for my $query (sort keys %width) {
        my $r = $t->get("/live/a/thumbnail.jpg$query");

        is($r->{status}, 200, "thumbnail$query: 200") or diag($r->{raw});
        is($r->{headers}{'content-type'}, 'image/jpeg', 'its type');
        is($r->{headers}{'content-encoding'}, undef, 'never gzipped');
        is($r->{headers}{vary}, undef, 'no Vary');
        $t->write_file('thumbnail.jpg', $r->{body});

        my ($code, $output) = $t->command(
            qw/ ffprobe -v error -of csv=p=0 -show_entries /,
            'stream=codec_name,width', $t->dir() . '/thumbnail.jpg');

        is($output, "mjpeg,$width{$query}\n", 'a picture of that width');
        is($t->get("/live/a/thumbnail.jpg$query",
                   headers => { 'Accept-Encoding' => 'gzip' })
             ->{headers}{'content-encoding'}, undef, 'not even if asked for');
    }

    for my $query ('w=31', 'w=1921', 'w=0', 'w=', 'w', 'w=x', 'w=-64',
                   'w=64&w=64', 'w=6.4')
    {
        my $r = $t->get("/live/a/thumbnail.jpg?$query");

        is($r->{status}, 400, "thumbnail?$query: 400");
        is($r->{headers}{'cache-control'}, $second, 'for a second');
    }

    is($t->get('/live/nobody/thumbnail.jpg')->{status}, 404,
       'a thumbnail of nothing');
    is($t->get('/live/a/source/thumbnail.jpg')->{status}, 404,
       'nor of a rendition');
}
