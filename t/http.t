#!/usr/bin/env perl

# What a player or a cache sees of HTTP: methods, ranges, conditions, types,
# cache lifetimes, CORS, gzip, names, and nginx's own directives around it.

# asan

use strict;
use warnings;

use IO::Socket::INET;
use IO::Uncompress::Gunzip qw/ gunzip $GunzipError /;
use Test::More;
use Test::Live;
use Test::Live::M3U8;
use Test::Live::MP4;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
events { }
live {
    zone 64m;
    segment 1s;
    window 30s;
    resume 1h;
    application live { }
    application other { }
}
stream { server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } }
http {
    %%TEST_GLOBALS_HTTP%%
    log_format play '$request_method $uri $status $body_bytes_sent';
    map $arg_app $app { default nosuch; one live; two other; }

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location /live/ { live_play live; access_log %%DIR%%/play.log play; }
        location /bare { live_play live; }
        location /var/ { live_play $app; }
        location /slow/ { limit_rate 20k; live_play live; }
        location /one/ { max_ranges 1; live_play live; }
        location /gzip/ { gzip on; gzip_types *; gzip_min_length 1;
                          live_play live; }
        location /expires/ { expires 30s; live_play live; }
        location /add/ {
            live_play live;
            add_header X-Site one;
            add_header X-Always two always;
        }
        location /nest/ {
            live_play live;
            location ~ m4s$ { add_header X-Class segment; }
            location /nest/off/ { live_play off; return 410; }
            location ~ audio { live_play live; add_header X-Class audio; }
        }
        location /if/ {
            live_play live;
            if ($arg_deny) { return 403; }
            if ($arg_mark) { add_header X-If yes; }
            if ($arg_play) { live_play other; }
        }
        location /auth/ { auth_request /check; live_play live; }
        location = /check {
            internal;
            if ($http_x_token = good) { return 204; }
            return 403;
        }
        location /page/ { live_play live; error_page 404 /gone; }
        location = /gone { return 200 "gone\n"; }
        location /fall/ {
            live_play other;
            error_page 404 = /live/a/source/playlist.m3u8;
        }
        location /rewrite/ { rewrite ^/rewrite/(.*) /live/$1 last; }
        location = /streams { live_api live; }
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;
        merge_slashes off;
        sendfile off;
        location /live/ { live_play live; }
    }

    server {
        listen 127.0.0.1:%%PORT_8082%%;
        sendfile on;
        tcp_nopush on;
        sendfile_max_chunk 4k;
        output_buffers 1 4k;
        location /live/ { live_play live; }
    }
}
CONF

$t->run();

my $publisher = $t->ffmpeg_publish('live/a', realtime => 0,
                                   clip => { seconds => 6, gop => 30 });

is($t->wait_exit($publisher, 60), 0, 'a publisher came and went')
    or diag($t->output($publisher));

my $worker = ($t->workers())[0];
my $media = parse(get('/live/a/source/playlist.m3u8')->{body});
my ($init) = map { "/live/a/source/$_" } $media->{segments}[0]{map};
my @segments = map { "/live/a/source/$_->{uri}" } @{ $media->{segments} };
my $audio = parse(get('/live/a/audio/playlist.m3u8')->{body});

my %url = (
    multivariant  => '/live/a/playlist.m3u8',
    media         => '/live/a/source/playlist.m3u8',
    audio         => '/live/a/audio/playlist.m3u8',
    init          => $init,
    segment       => $segments[1],
    audio_init    => "/live/a/audio/$audio->{segments}[0]{map}",
    audio_segment => "/live/a/audio/$audio->{segments}[1]{uri}",
);

my $m3u8 = 'application/vnd.apple.mpegurl';
my $year = 'public, max-age=31536000, immutable';

my %type = (multivariant => $m3u8, media => $m3u8, audio => $m3u8,
            init => 'video/mp4', segment => 'video/mp4',
            audio_init => 'audio/mp4', audio_segment => 'audio/mp4');

my @classes = sort keys %url;


# --- helpers ------------------------------------------------------------------

sub get { return $t->get(@_) }

sub parse { return Test::Live::M3U8->parse($_[0]) }


# CORS as HTTP-34 wants it, and no header twice.
sub is_open {
    my ($r, $name) = @_;

    my @twice = grep { ref $r->{headers}{$_} } keys %{ $r->{headers} };

    is($r->{headers}{'access-control-allow-origin'}, '*',
       "$name: CORS (HTTP-34)");
    like($r->{headers}{'access-control-expose-headers'} // '',
         qr/\bDate\b.*\bContent-Range\b/, "$name: exposed headers (HTTP-35)");
    is("@twice", '', "$name: no header twice");
}


# The headers that HEAD, 304 and a cache must see as GET has them.
sub entity {
    my ($r, @without) = @_;

    my %h = %{ $r->{headers} };

    delete @h{'date', 'connection', @without};

    return \%h;
}


sub is_short_error {
    my ($r, $status, $name) = @_;

    is($r->{status}, $status, "$name: $status");
    is($r->{headers}{'cache-control'}, 'public, max-age=1',
       "$name: kept for a second (HTTP-13)");
    is($r->{headers}{etag}, undef, "$name: no ETag");
    is_open($r, $name);
}


# --- what it is ---------------------------------------------------------------

my %got;

for my $class (@classes) {
    my $r = $got{$class} = get($url{$class});
    my $playlist = $type{$class} eq $m3u8;

    is($r->{status}, 200, "$class: 200") or diag($r->{raw});
    is($r->{headers}{'content-type'}, $type{$class},
       "$class: Content-Type (HTTP-33)");
    is($r->{headers}{'content-length'}, length $r->{body},
       "$class: Content-Length (HTTP-78)");
    is($r->{headers}{'cache-control'}, $playlist ? 'public, max-age=1' : $year,
       "$class: Cache-Control (HTTP-1, 2, 7, 8)");
    like($r->{headers}{etag}, qr/^"[^"]+"$/, "$class: a strong ETag (HTTP-25)");
    like($r->{headers}{'last-modified'}, qr/ GMT$/, "$class: Last-Modified");
    is($r->{headers}{'accept-ranges'}, 'bytes', "$class: Accept-Ranges");
    is($r->{headers}{vary}, $playlist ? 'Accept-Encoding' : undef,
       "$class: Vary (HTTP-39, 41)");
    is($r->{headers}{'set-cookie'}, undef, "$class: no cookie (HTTP-42)");
    is_open($r, $class);
}

is_deeply(parse($got{multivariant}{body})->{errors}, [],
          'the multivariant playlist keeps the rules');
is_deeply($media->{errors}, [], 'the media playlist keeps the rules');
is(@{ $media->{segments} }, 6, 'six segments of a second');

{
    my @bodies = map { get($_)->{body} } @segments;
    my $frames = 0;
    my @errors;

    for my $body (@bodies) {
        my $segment = Test::Live::MP4->segment($body);

        push @errors, @{ $segment->{errors} };
        $frames += @{ $segment->{samples} };
    }

    is_deeply(\@errors, [], 'the segments keep the rules of CMAF');
    is($frames, 180, 'every frame that was published is there');

    $t->write_file('all.mp4', join '', $got{init}{body}, @bodies);

    my ($code, $output) = $t->command(
        qw/ ffprobe -v error -count_frames -show_entries
            stream=nb_read_frames -of csv=p=0 /, $t->dir() . '/all.mp4');

    is($code, 0, 'ffprobe reads them');
    is($output, "180\n", 'and decodes 180 frames without a complaint');
}

for my $alias (qw/ master.m3u8 index.m3u8 /) {
    my $r = get("/live/a/$alias");

    is($r->{body}, $got{multivariant}{body}, "$alias is playlist.m3u8");
    is_deeply(entity($r), entity($got{multivariant}), "$alias: same headers");
    is_short_error(get("/live/a/source/$alias"), 404, "$alias of a rendition");
}


# --- HEAD and other methods ---------------------------------------------------

for my $class (@classes) {
    my $r = get($url{$class}, method => 'HEAD');

    is($r->{status}, 200, "HEAD $class: 200");
    is($r->{body}, '', "HEAD $class: no body (HTTP-30)");
    is_deeply(entity($r), entity($got{$class}), "HEAD $class: GET's headers");
}

is(get('/live/a/none.m3u8', method => 'HEAD')->{status}, 404, 'HEAD: 404');

for my $method (qw/ POST PUT DELETE PATCH PROPFIND /) {
    my $r = get($url{segment}, method => $method, body => 'x' x 10);

    is_short_error($r, 405, "$method");
    is($r->{headers}{allow}, 'GET, HEAD, OPTIONS', "$method: Allow (HTTP-32)");
}

for my $path ($url{segment}, $url{media}, '/live/none/playlist.m3u8') {
    my $r = get($path, method => 'OPTIONS', headers => {
        Origin => 'https://player.example',
        'Access-Control-Request-Method'  => 'GET',
        'Access-Control-Request-Headers' => 'range',
    });

    is($r->{status}, 204, "preflight of $path: 204 (HTTP-36)");
    is($r->{body}, '', 'preflight: no body');
    is($r->{headers}{'access-control-allow-methods'}, 'GET, HEAD, OPTIONS',
       'preflight: methods');
    like($r->{headers}{'access-control-allow-headers'},
         qr/\bRange\b.*\bIf-None-Match\b.*\bCMCD-Request\b/,
         'preflight: headers');
    is($r->{headers}{'access-control-max-age'}, 86400, 'preflight: max age');
    is_open($r, 'preflight');
}


# --- ranges -------------------------------------------------------------------

sub range {
    my ($class, $range, $first, $last, %headers) = @_;

    my $whole = $got{$class}{body};
    my $size = length $whole;
    my $r = get($url{$class}, headers => { Range => $range, %headers });

    is($r->{status}, 206, "$class $range: 206 (HTTP-27)");
    is($r->{headers}{'content-range'}, "bytes $first-$last/$size",
       "$class $range: Content-Range");
    ok($r->{body} eq substr($whole, $first, $last - $first + 1),
       "$class $range: the bytes");
    is($r->{headers}{etag}, $got{$class}{headers}{etag},
       "$class $range: the ETag of the whole");
    is($r->{headers}{'cache-control'}, $got{$class}{headers}{'cache-control'},
       "$class $range: Cache-Control");
    is_open($r, "$class $range");
}

for my $class (qw/ segment init media /) {
    my $end = length($got{$class}{body}) - 1;

    range($class, 'bytes=0-0', 0, 0);
    range($class, 'bytes=10-99', 10, 99);
    range($class, 'bytes=100-', 100, $end);
    range($class, 'bytes=-100', $end - 99, $end);
    range($class, "bytes=$end-", $end, $end);
    range($class, 'bytes=7-9007199254740991', 7, $end);
    range($class, 'bytes=-99999999', 0, $end);

    for my $bad ('bytes=' . ($end + 1) . '-', 'bytes=99999999-', 'bytes=-0') {
        my $r = get($url{$class}, headers => { Range => $bad });

        is_short_error($r, 416, "$class $bad (HTTP-27)");
        is($r->{headers}{'content-range'}, 'bytes */' . ($end + 1),
           "$class $bad: Content-Range says the length");
    }

    is(get($url{$class}, headers => { Range => 'lines=0-1' })->{body},
       $got{$class}{body}, "$class: an unknown unit is ignored (HTTP-27)");

    my $head = get($url{$class}, method => 'HEAD',
                   headers => { Range => 'bytes=1-2' });

    is($head->{body}, '', "$class: HEAD with a range has no body");
}

for my $port (8080, 8081, 8082) {
    my $r = get($url{segment}, port => $t->port($port),
                headers => { Range => 'bytes=5-9,4000-4999,-3' });
    my $whole = $got{segment}{body};
    my $size = length $whole;
    my ($boundary) = $r->{headers}{'content-type'} =~
                     m{^multipart/byteranges; boundary=(\S+)};

    is($r->{status}, 206, 'several ranges: 206 (HTTP-28)');
    ok($boundary, 'several ranges: multipart') or next;

    my @parts = split /\r\n--\Q$boundary\E(?:\r\n|--\r\n)/, $r->{body};
    my @want = ([5, 9], [4000, 4999], [$size - 3, $size - 1]);

    shift @parts;

    is(@parts, 3, 'several ranges: three parts');

    for my $part (@parts) {
        my ($first, $last) = @{ shift @want };
        my ($head, $body) = split /\r\n\r\n/, $part, 2;

        like($head, qr{^Content-Type: video/mp4\r$}m, 'a part: its type');
        like($head, qr{^Content-Range: bytes $first-$last/$size}m,
             'a part: its range');
        ok($body eq substr($whole, $first, $last - $first + 1),
           'a part: its bytes');
    }
}

{
    my $one = $url{segment} =~ s{^/live}{/one}r;
    my $r = get($one, headers => { Range => 'bytes=0-1,5-6' });

    is($r->{status}, 200, 'max_ranges 1: several ranges get the whole');
    ok($r->{body} eq $got{segment}{body}, 'max_ranges 1: all bytes');
    is(get($one, headers => { Range => 'bytes=0-1' })->{status}, 206,
       'max_ranges 1: one range');
}

for my $class (qw/ segment init media /) {
    my ($etag, $date) = @{ $got{$class}{headers} }{qw/ etag last-modified /};

    range($class, 'bytes=3-5', 3, 5, 'If-Range' => $etag);
    range($class, 'bytes=3-6', 3, 6, 'If-Range' => $date);

    for my $other ('"other"', "W/$etag", 'Sun, 06 Nov 1994 08:49:37 GMT') {
        my $r = get($url{$class}, headers => { Range => 'bytes=3-5',
                                               'If-Range' => $other });

        is($r->{status}, 200, "$class: If-Range $other: the whole (HTTP-29)");
        ok($r->{body} eq $got{$class}{body}, 'and all its bytes');
    }
}


# --- conditions ---------------------------------------------------------------

for my $class (@classes) {
    my ($etag, $date) = @{ $got{$class}{headers} }{qw/ etag last-modified /};

    my @hits = (
        { 'If-None-Match' => $etag },
        { 'If-None-Match' => "W/$etag" },
        { 'If-None-Match' => "\"x\", $etag, \"y\"" },
        { 'If-None-Match' => '*' },
        { 'If-Modified-Since' => $date },
        { 'If-None-Match' => $etag, 'If-Modified-Since' => $date },
    );

    for my $headers (@hits) {
        my $name = "$class " . join ', ', %$headers;
        my $r = get($url{$class}, headers => $headers);

        is($r->{status}, 304, "$name: 304 (HTTP-26)");
        is($r->{body}, '', "$name: no body");
        is_deeply(entity($r), entity($got{$class}, 'content-type',
                                     'content-length', 'accept-ranges'),
                  "$name: ETag, Last-Modified, Cache-Control, Vary, CORS");
    }

    my @misses = (
        { 'If-None-Match' => '"x"' },
        { 'If-None-Match' => '"x"', 'If-Modified-Since' => $date },
        { 'If-Modified-Since' => 'Sun, 06 Nov 1994 08:49:37 GMT' },
    );

    for my $headers (@misses) {
        my $r = get($url{$class}, headers => $headers);

        is($r->{status}, 200, "$class " . join(', ', %$headers) . ': 200');
        ok($r->{body} eq $got{$class}{body}, 'the bytes');
    }
}


# --- gzip ---------------------------------------------------------------------

sub gunzipped {
    my ($bytes) = @_;

    my $out;

    return gunzip(\$bytes => \$out) ? $out : "not gzip: $GunzipError";
}

for my $class (qw/ multivariant media audio /) {
    my %coded;

    for my $accept ('gzip', 'deflate, gzip, br', 'br;q=1.0, gzip;q=0.8, *;q=0',
                    'GZIP', 'gzip;q=1', 'gzip;q=0.001', 'gzip ; q=0.5')
    {
        my $r = get($url{$class}, headers => { 'Accept-Encoding' => $accept });

        is($r->{headers}{'content-encoding'}, 'gzip',
           "$class, $accept: gzip (HTTP-39)");
        is(gunzipped($r->{body}), $got{$class}{body},
           "$class, $accept: unzipped, it is the same");
        cmp_ok(length $r->{body}, '<', length $got{$class}{body},
               "$class, $accept: smaller");
        is($r->{headers}{vary}, 'Accept-Encoding', "$class, $accept: Vary");
        is_open($r, "$class, $accept");
        $coded{ $r->{headers}{etag} } = $r;
    }

    for my $accept ('', 'identity', 'br, deflate', 'gzip;q=0', 'gzip; q=0.0',
                    'gzip ;q=0.000, identity', 'identity, gzip;q=0')
    {
        my $r = get($url{$class}, headers => { 'Accept-Encoding' => $accept });

        is($r->{headers}{'content-encoding'}, undef,
           "$class, '$accept': not gzip (HTTP-40)");
        is($r->{body}, $got{$class}{body}, "$class, '$accept': the text");
        is($r->{headers}{vary}, 'Accept-Encoding', "$class, '$accept': Vary");
    }

    my ($etag) = keys %coded;

    is(keys %coded, 1, "$class: one ETag of the gzipped text");
    isnt($etag, $got{$class}{headers}{etag}, "$class: not that of the plain");

    my %gzip = ('Accept-Encoding' => 'gzip');

    is(get($url{$class}, headers => { %gzip, 'If-None-Match' => $etag })
         ->{status}, 304, "$class: 304 for the gzipped one");
    is(get($url{$class}, headers => { 'If-None-Match' => $etag })->{status},
       200, "$class: 200 where its ETag is shown for the plain one");

    my $part = get($url{$class}, headers => { %gzip, Range => 'bytes=0-9' });

    is($part->{status}, 206, "$class: a range of the gzipped text");
    is($part->{headers}{etag}, $etag, "$class: with its ETag");
    ok($part->{body} eq substr($coded{$etag}{body}, 0, 10), 'and its bytes');

    my $head = get($url{$class}, method => 'HEAD', headers => \%gzip);

    is_deeply(entity($head), entity($coded{$etag}),
              "$class: HEAD has the headers of the gzipped text");

    my $twice = get($url{$class} =~ s{^/live}{/gzip}r, headers => \%gzip);

    is(gunzipped($twice->{body}), $got{$class}{body},
       "$class: nginx's own gzip does not do it again");
    is($twice->{headers}{'content-encoding'}, 'gzip', 'and says it once');
    is($twice->{headers}{vary}, 'Accept-Encoding', 'and Vary once');
}

for my $class (qw/ init segment /) {
    my $r = get($url{$class}, headers => { 'Accept-Encoding' => 'gzip' });

    is($r->{headers}{'content-encoding'}, undef, "$class is never gzipped");
    ok($r->{body} eq $got{$class}{body}, "$class: its bytes");
}


# --- names (HTTP-80, HTTP-81) -------------------------------------------------

my ($epoch) = $url{segment} =~ /seg-(\w+)-/;

for my $path (
    '/live/', '/live/a', '/live/a/', '/live/a/source',
    '/live/a/source/', '/live/a/none/playlist.m3u8', '/live/A/playlist.m3u8',
    '/live/b/playlist.m3u8', '/live/.a/playlist.m3u8',
    '/live/a%20/playlist.m3u8', '/live/a%ff/playlist.m3u8',
    '/live/a/playlist.m3u', '/live/a/playlist.m3u88', '/live/a/PLAYLIST.M3U8',
    '/live/a/playlist.m3u8/', '/live/a/source/playlist.m3u8/',
    '/live/a/source/playlist.m3u8/x', '/live/a/source/x/playlist.m3u8',
    '/live/a/source/sourc/playlist.m3u8', '/live/a/sourc/playlist.m3u8',
    '/live/a/sourceX/playlist.m3u8', '/live/a%5cplaylist.m3u8',
    '/live/' . 'a' x 128 . '/playlist.m3u8',
    '/live/' . 'a' x 129 . '/playlist.m3u8',
    '/live/' . 'a' x 4000 . '/playlist.m3u8',
    '/live/a/' . 'b' x 4000 . '/playlist.m3u8',
    '/live/a/source/' . 'c' x 4000,
    '/live/a/source/seg-' . 'd' x 4000 . '-1.m4s',
    '/live/a' . '/x' x 1000,
    map({ "/live/a/source/$_" }
        'seg-.m4s', 'seg-1.m4s', 'seg--1.m4s', "seg-$epoch.m4s",
        "seg-$epoch-.m4s", "seg-$epoch-0.m4s", "seg-$epoch-01.m4s",
        "seg-$epoch-+1.m4s", "seg-$epoch--1.m4s", "seg-$epoch-1x.m4s",
        "seg-$epoch-0x1.m4s", "seg-$epoch-1.m4s.m4s", "seg-$epoch-1.mp4",
        "seg-$epoch-1.m4", "Seg-$epoch-1.m4s", "seg-$epoch-1.m4s%20",
        "seg-$epoch-%201.m4s", "seg-$epoch-7.m4s", "seg-$epoch-4294967297.m4s",
        "seg-$epoch-999999999999999999.m4s",
        "seg-$epoch-18446744073709551617.m4s",
        "seg-$epoch-" . '1' x 300 . '.m4s', "seg-${epoch}0-1.m4s",
        'seg-' . substr($epoch, 1) . '-1.m4s', 'seg-' . uc("z$epoch") . '-1.m4s',
        "init-$epoch-0.mp4", "init-$epoch-01.mp4", "init-$epoch-2.mp4",
        "init-$epoch-1.m4s", "init-$epoch-4294967297.mp4", 'init.mp4',
        "init--1.mp4", "init-$epoch-18446744073709551617.mp4"),
) {
    my $name = length $path > 60 ? substr($path, 0, 60) . '...' : $path;

    is_short_error(get($path), 404, $name);
}

is(get("/bare/a/playlist.m3u8")->{body}, $got{multivariant}{body},
   'a location without a slash at its end');
is(get("/barea/playlist.m3u8")->{status}, 404, 'needs one behind it (HTTP-80)');
is(get("/bare")->{status}, 404, 'and something behind that');

for my $path ('/live/a//playlist.m3u8', '/live//a/playlist.m3u8',
              '/live/a/source//playlist.m3u8', '/live/a//source/playlist.m3u8',
              '/live/a///playlist.m3u8')
{
    is_short_error(get($path, port => $t->port(8081)), 404,
                   "$path with merge_slashes off");
}

for my $path ('/live/a/%00/playlist.m3u8', '/live/a%00/playlist.m3u8',
              '/live/../../etc/passwd', '/live/%2e%2e/%2e%2e/etc/passwd',
              '/live/a/..%2f..%2f..%2fetc/passwd',
              '/live/..%5c..%5cetc/passwd', '/live/a/source/../../../etc/passwd',
              '/live/%2e%2e%2f/playlist.m3u8')
{
    like(get($path)->{status}, qr/^40[04]$/, "$path: refused");
}

for my $class (@classes) {
    my $r = get("$url{$class}?x=1&_HLS_foo=bar&CMCD=br%3D1&" . 'y' x 2000);

    ok($r->{body} eq $got{$class}{body}, "$class: a query string is ignored");
    is_deeply(entity($r), entity($got{$class}), "$class: same headers with it");
}

is(($t->workers())[0], $worker, 'the worker is the same as before (invariant 9)');


# --- connections --------------------------------------------------------------

sub receive {
    my ($socket, $count) = @_;

    my ($raw, @responses) = ('');

    while (@responses < $count) {
        my ($head, $rest) = $raw =~ /\A(.*?\r\n\r\n)(.*)\z/s;
        my ($length) = ($head // '') =~ /^Content-Length: (\d+)/mi;

        if (defined $length && length $rest >= $length) {
            push @responses, substr $rest, 0, $length;
            $raw = substr $rest, $length;
            next;
        }

        my $bits = '';

        vec($bits, fileno $socket, 1) = 1;
        last if select($bits, undef, undef, 10) <= 0;
        last unless sysread $socket, $raw, 65536, length $raw;
    }

    return @responses;
}

{
    my $socket = IO::Socket::INET->new('127.0.0.1:' . $t->port(8080));
    my @order = qw/ media segment init audio_segment multivariant segment /;
    my $all = join '', map { "GET $url{$_} HTTP/1.1\r\nHost: h\r\n\r\n" } @order;

    syswrite $socket, $all;

    my @bodies = receive($socket, scalar @order);

    for my $i (0 .. $#order) {
        ok(($bodies[$i] // '') eq $got{ $order[$i] }{body},
           "pipelined request $i: $order[$i]");
    }

    for my $class (qw/ segment media /) {
        syswrite $socket, "GET $url{$class} HTTP/1.1\r\nHost: h\r\n\r\n";
        ok((receive($socket, 1))[0] eq $got{$class}{body},
           "$class over the connection that was kept alive (HTTP-55)");
    }

    syswrite $socket, "POST $url{media} HTTP/1.1\r\nHost: h\r\n"
                      . "Content-Length: 5\r\n\r\nhello"
                      . "GET $url{media} HTTP/1.1\r\nHost: h\r\n\r\n";
    is((receive($socket, 2))[1], $got{media}{body},
       'a body that was not wanted does not disturb the next request');
}

for my $class (qw/ media segment /) {
    my $r = get($url{$class}, version => '1.0');

    ok($r->{body} eq $got{$class}{body}, "HTTP/1.0: $class");
    is($r->{headers}{connection}, 'close', 'HTTP/1.0: closed');

    $r = get($url{$class}, raw => "GET $url{$class} HTTP/1.0\r\n\r\n");
    ok($r->{body} eq $got{$class}{body}, "HTTP/1.0 without Host: $class");
}

for my $port (8081, 8082) {
    for my $class (@classes) {
        my $r = get($url{$class}, port => $t->port($port));

        ok($r->{body} eq $got{$class}{body},
           "$class with sendfile " . ($port == 8081 ? 'off' : 'in 4k chunks'));
    }
}


# --- nginx's own directives ---------------------------------------------------

sub under { return $url{ $_[1] } =~ s{^/live}{/$_[0]}r }

for my $class (qw/ media segment init /) {
    my $r = get(under('auth', $class), headers => { 'X-Token' => 'good' });

    is($r->{status}, 200, "auth_request allows $class");
    ok($r->{body} eq $got{$class}{body}, 'all bytes');
    is($r->{headers}{'cache-control'}, $got{$class}{headers}{'cache-control'},
       'with its Cache-Control');
    is_open($r, "auth_request, $class");

    $r = get(under('auth', $class), headers => { 'X-Token' => 'bad' });
    is($r->{status}, 403, "auth_request denies $class");
    ok(index($r->{body}, substr $got{$class}{body}, 0, 40) < 0,
       'and gives nothing away');
    unlike($r->{headers}{'cache-control'} // '', qr/max-age=[1-9]\d/,
           'nothing that a cache keeps (HTTP-16)');

    ok(get(under('slow', $class))->{body} eq $got{$class}{body},
       "limit_rate: $class");

    is(get(under('var', $class) . '?app=one')->{body}, $got{$class}{body},
       "a variable names the application: $class");
    is_short_error(get(under('var', $class) . '?app=two'), 404,
                   "another application: $class");
    is_short_error(get(under('var', $class)), 404, "no application: $class");

    ok(get(under('rewrite', $class))->{body} eq $got{$class}{body},
       "rewrite: $class");

    ok(get(under('if', $class))->{body} eq $got{$class}{body}, "if: $class");
    is(get(under('if', $class) . '?deny=1')->{status}, 403, 'if denies');

    $r = get(under('if', $class) . '?mark=1');
    ok($r->{body} eq $got{$class}{body}, "within an if: $class");
    is($r->{headers}{'x-if'}, 'yes', 'with its header');

    is(get(under('if', $class) . '?play=1')->{status}, 404,
       'live_play of another application in an if');

    $r = get(under('expires', $class));
    is($r->{headers}{'cache-control'}, 'max-age=30',
       "expires replaces Cache-Control: $class");
    is_open($r, "expires, $class");

    $r = get(under('add', $class));
    is($r->{headers}{'x-site'}, 'one', "add_header: $class");
    is($r->{headers}{'x-always'}, 'two', "add_header always: $class");
    is_open($r, "add_header, $class");
}

{
    my $r = get('/add/none/playlist.m3u8');

    is($r->{headers}{'x-site'}, undef, 'add_header leaves a 404 alone');
    is($r->{headers}{'x-always'}, 'two', 'add_header always does not');

    $r = get(under('nest', 'segment'));
    is($r->{headers}{'x-class'}, 'segment', 'a nested location');
    ok($r->{body} eq $got{segment}{body}, 'serves as the one around it');
    is(get(under('nest', 'media'))->{headers}{'x-class'}, undef, 'not others');

    $r = get(under('nest', 'audio'));
    is($r->{headers}{'x-class'}, 'audio', 'live_play again in a nested one');
    is($r->{body}, $got{audio}{body}, 'has the prefix of the one around it');
    is(get('/nest/off/playlist.m3u8')->{status}, 410, 'live_play off');

    $r = get('/page/none/playlist.m3u8');
    is($r->{body}, "gone\n", 'error_page');
    is_short_error($r, 404, 'error_page');

    $r = get('/fall/none/playlist.m3u8');
    is($r->{status}, 200, 'error_page to another live_play');
    is($r->{body}, $got{media}{body}, 'error_page: its playlist');
    is_deeply(entity($r), entity($got{media}), 'error_page: its headers alone');
}

ok($t->wait_for(sub { $t->read_file('play.log') =~ /^OPTIONS /m }, 10, 'log'),
   'access_log');

{
    my $log = $t->read_file('play.log');
    my $size = length $got{segment}{body};

    like($log, qr/^GET \Q$url{segment}\E 200 $size$/m, 'access_log: a segment');
    like($log, qr/^GET \Q$url{segment}\E 206 90$/m, 'access_log: a range');
    like($log, qr/^GET \Q$url{segment}\E 304 0$/m, 'access_log: 304');
    like($log, qr/^HEAD \Q$url{segment}\E 200 0$/m, 'access_log: HEAD');
}


# --- live_api -----------------------------------------------------------------

{
    my $r = get('/streams');

    is($r->{status}, 200, 'live_api: 200');
    is($r->{headers}{'content-type'}, 'application/json', 'live_api: JSON');
    is($r->{headers}{'cache-control'}, 'no-store', 'live_api: no-store (HTTP-19)');
    is_open($r, 'live_api');
    like($r->{body}, qr/^\{"streams":\[\{"application":"live","name":"a",/,
         'live_api names the stream');
    like($r->{body}, qr/"width":320,"height":180,"fps":30\.0\b/,
         'live_api: its video');
    like($r->{body}, qr/"sample_rate":48000,"channels":2/, 'live_api: its audio');

    my $head = get('/streams', method => 'HEAD');

    is_deeply(entity($head), entity($r), 'live_api: HEAD');
    is(get('/streams', method => 'PUT')->{status}, 405, 'live_api: PUT');
    is(get('/streams', method => 'OPTIONS')->{status}, 204, 'live_api: preflight');
}

is(($t->workers())[0], $worker, 'one worker has done it all');

done_testing();
