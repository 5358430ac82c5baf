#!/usr/bin/env perl

# Caches in front: nginx's proxy_cache and Varnish give out the same bytes,
# keep what may be kept, and let go of what may not (HTTP-13, 20, 43 to 47).
#
# waits

use strict;
use warnings;

use IO::Socket::INET;
use IO::Uncompress::Gunzip qw/ gunzip /;
use Test::More;
use Test::Live;
use Test::Live::M3U8;

my $t = Test::Live->new();
my $dir = $t->dir();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
events { }
live {
    zone 64m;
    segment 1s max=2s;
    window 20s;
    resume 1h;
    application live { }
}
stream { server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } }
http {
    %%TEST_GLOBALS_HTTP%%
    log_format origin '$status $uri';
    proxy_cache_path %%DIR%%/cache keys_zone=cache:1m;

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        access_log %%DIR%%/origin.log origin;
        keepalive_requests 10000;
        location /live/ { live_play live; }
    }
    server {
        listen 127.0.0.1:%%PORT_8081%%;
        add_header X-Cache $upstream_cache_status always;
        location / {
            proxy_pass http://127.0.0.1:%%PORT_8080%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_cache cache;
            proxy_cache_lock on;
        }
    }
}
CONF

$t->run();

my %clip = (seconds => 8, gop => 30);
my $publisher = $t->ffmpeg_publish('live/a', clip => \%clip, realtime => 0);

is($t->wait_exit($publisher, 60), 0, 'a publisher came and went')
    or diag($t->output($publisher));

my $encoder = $t->ffmpeg_publish('live/b', clip => \%clip, loop => -1);

my @urls = ('/live/a/playlist.m3u8');

for my $rendition (qw/ source audio /) {
    my $path = "/live/a/$rendition";
    my $p = Test::Live::M3U8->parse($t->get("$path/playlist.m3u8")->{body});

    push @urls, "$path/playlist.m3u8", "$path/$p->{segments}[0]{map}",
         map { "$path/$_->{uri}" } @{ $p->{segments} };
}

my %origin = map { $_ => $t->get($_) } @urls;
my ($segment) = grep { m{/source/seg-} } @urls;
my $size = length $origin{$segment}{body};

proxy_cache();
varnish();

done_testing();


# --- helpers ------------------------------------------------------------------

# How often the origin has been asked for it.
sub asked {
    my ($path, $status) = @_;

    $status //= qr/\d+/;

    return scalar grep { /^$status \Q$path\E$/ }
                  split /\n/, $t->read_file('origin.log') // '';
}


sub entity {
    my ($r) = @_;

    my %h = %{ $r->{headers} };

    delete @h{qw/ date connection x-cache x-varnish via age /};

    return \%h;
}


sub gunzipped {
    my ($r) = @_;

    my $out = '';

    return $r->{body}
        unless ($r->{headers}{'content-encoding'} || '') eq 'gzip';

    return gunzip(\$r->{body} => \$out) ? $out : 'not gzip';
}


# A live playlist through a cache goes on, by the rules.
sub goes_on {
    my ($name, $port) = @_;

    my ($old, $first, @wrong, %cache);

    ok($t->wait_for(sub {
        my $r = $t->get('/live/b/source/playlist.m3u8', port => $port);

        return 0 if $r->{status} != 200 && !$old;

        my $p = Test::Live::M3U8->parse($r->{body});

        push @wrong, @{ $p->{errors} };
        push @wrong, $p->changes_since($old) if $old;

        # parts alone at first
        return @wrong unless @{ $p->{segments} };

        $old = $p;
        $first //= $p->{segments}[-1]{msn};
        $cache{ $r->{headers}{'x-cache'} // '' }++;

        # what it names can be had through the cache at once
        my $newest = $t->get("/live/b/source/$p->{segments}[-1]{uri}",
                             port => $port);

        push @wrong, "$p->{segments}[-1]{uri}: $newest->{status}"
            if $newest->{status} != 200;

        return @wrong || $p->{segments}[-1]{msn} >= $first + 3;
    }, 30, 'three more segments'), "$name: a live playlist is refreshed");

    is_deeply(\@wrong, [], "$name: by the rules, its segments are there "
                           . '(HTTP-2, HLS-11, HLS-12)');

    return \%cache;
}


# The number of a segment that is not there comes to be: the cache may not
# hide it for long.
sub forgets_404 {
    my ($name, $port) = @_;

    my $p = Test::Live::M3U8->parse(
        $t->get('/live/b/source/playlist.m3u8')->{body});
    my $last = $p->{segments}[-1];
    my $next = $last->{msn} + 3;
    my $path = "/live/b/source/" . $last->{uri} =~ s/-\d+\.m4s/-$next.m4s/r;
    my $r = $t->get($path, port => $port);

    is($r->{status}, 404, "$name: a segment to come is a 404");
    is($r->{headers}{'cache-control'}, 'public, max-age=1',
       "$name: for a second (HTTP-13)");
    ok($t->wait_for(sub { $t->get($path, port => $port)->{status} == 200 }, 30,
                    'segment'), "$name: later it is there");
    ok($t->get($path, port => $port)->{body} eq $t->get($path)->{body},
       "$name: with the origin's bytes");
}


# --- nginx --------------------------------------------------------------------

sub proxy_cache {
    my $port = $t->port(8081);
    my @wrong;

    for my $path (@urls) {
        my $before = asked($path);

        for my $want (qw/ MISS HIT /) {
            my $r = $t->get($path, port => $port);

            # a playlist may have had its second meanwhile
            my $status = $r->{headers}{'x-cache'};

            push @wrong, "$path: $status" if $status ne $want
                && !($path =~ /m3u8/ && $status eq 'EXPIRED');

            is($r->{status}, 200, "proxy_cache: $path");
            ok($r->{body} eq $origin{$path}{body}, 'the same bytes');
            is_deeply(entity($r), entity($origin{$path}), 'the same headers');
        }

        $t->get($path, port => $port) for 1 .. 3;

        push @wrong, "$path: asked again" if $path !~ /m3u8/
            && !$t->poll(sub { asked($path) == $before + 1 }, 5);
    }

    is_deeply(\@wrong, [], 'proxy_cache: the first is a miss, then a hit');

    variants($port);
    conditions($port);

    my $cache = goes_on('proxy_cache', $port);

    ok($cache->{HIT}, 'proxy_cache: most of the playlists are hits (HTTP-20)');
    ok($cache->{EXPIRED} || $cache->{REVALIDATED},
       'proxy_cache: some have expired');

    short_404($port);
    forgets_404('proxy_cache', $port);
    collapsed($port);
}


sub variants {
    my ($port) = @_;

    my $path = '/live/a/source/playlist.m3u8';

    for (1 .. 2) {
        for my $accept ('gzip', 'identity', 'br, gzip') {
            my $r = $t->get($path, port => $port,
                            headers => { 'Accept-Encoding' => $accept });

            is($r->{headers}{'content-encoding'},
               $accept =~ /gzip/ ? 'gzip' : undef,
               "proxy_cache, $accept: its own copy (HTTP-41)");
            is(gunzipped($r), $origin{$path}{body}, 'the same text');
        }
    }
}


sub conditions {
    my ($port) = @_;

    my $etag = $origin{$segment}{headers}{etag};
    my $r = $t->get($segment, port => $port,
                    headers => { 'If-None-Match' => $etag });

    is($r->{status}, 304, 'proxy_cache: 304 from the cache');

    $r = $t->get($segment, port => $port,
                 headers => { Range => 'bytes=100-199' });
    is($r->{status}, 206, 'proxy_cache: 206 from the cache');
    ok($r->{body} eq substr($origin{$segment}{body}, 100, 100), 'its bytes');

    $r = $t->get($segment, port => $port, method => 'HEAD');
    is($r->{headers}{'content-length'}, $size, 'proxy_cache: HEAD');

    # a range of something that the cache does not have yet
    my $path = "$segment?fresh";

    $r = $t->get($path, port => $port, headers => { Range => "bytes=$size-" });
    is($r->{status}, 416, 'proxy_cache: 416');
    $r = $t->get($path, port => $port);
    is($r->{status}, 200, 'proxy_cache: that 416 is not kept');
    ok($r->{body} eq $origin{$segment}{body}, 'all bytes');
}


sub short_404 {
    my ($port) = @_;

    my $path = '/live/a/source/none.m4s';

    ok($t->wait_for(sub {
        $t->get($path, port => $port);
        return $t->get($path, port => $port)->{headers}{'x-cache'} eq 'HIT';
    }, 10, 'hit'), 'proxy_cache: a 404 is kept');

    my $before = asked($path, 404);

    ok($t->wait_for(sub {
        $t->get($path, port => $port);
        return asked($path, 404) > $before;
    }, 10, 'second request'), 'proxy_cache: but not for long (HTTP-13)');
}


# Many ask for the same at the same instant (HTTP-43, HTTP-52).
sub collapsed {
    my ($port) = @_;

    my $path = "$segment?many";
    my $before = asked($segment);
    my @sockets = map { IO::Socket::INET->new("127.0.0.1:$port") } 1 .. 60;

    syswrite $_, "GET $path HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        for @sockets;

    my $right = 0;

    for my $socket (@sockets) {
        my $raw = '';

        while (sysread $socket, $raw, 65536, length $raw) { }
        $right++ if $raw =~ /\r\n\r\n(.*)\z/s && $1 eq $origin{$segment}{body};
    }

    is($right, 60, '60 at once have the right bytes (HTTP-52)');
    is(asked($segment), $before + 1, 'and the origin was asked once');

    # the same without a cache between
    @sockets = map { IO::Socket::INET->new('127.0.0.1:' . $t->port(8080)) }
               1 .. 60;
    syswrite $_, "GET $segment HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        for @sockets;
    $right = 0;

    for my $socket (@sockets) {
        my $raw = '';

        while (sysread $socket, $raw, 65536, length $raw) { }
        $right++ if $raw =~ /\r\n\r\n(.*)\z/s && $1 eq $origin{$segment}{body};
    }

    is($right, 60, 'as have 60 at once from the origin (HTTP-43)');
}


# --- Varnish ------------------------------------------------------------------

sub varnish {
    my $port = $t->port(8082);

    $t->write_file_expand('default.vcl', <<'VCL');
vcl 4.1;
backend default { .host = "127.0.0.1"; .port = "%%PORT_8080%%"; }
sub vcl_backend_response {
    if (beresp.http.Content-Type ~ "mpegurl" || beresp.status != 200) {
        set beresp.grace = 1s;
    }
}
sub vcl_deliver {
    if (obj.hits > 0) { set resp.http.X-Cache = "HIT"; }
}
VCL

    my $pid = $t->spawn(Test::Live::find_program('varnishd'), qw/ -F -j none /,
        '-a', "127.0.0.1:$port", '-f', "$dir/default.vcl", '-n',
        "$dir/varnish", '-s', 'malloc,32m', '-T', 'none');

    ok($t->wait_for(sub {
        !$t->is_running($pid)
        || $t->get($urls[0], port => $port)->{status} == 200;
    }, 40, 'answer'), 'Varnish runs') or return diag($t->output($pid));

    my @wrong;

    for my $path (@urls, @urls) {
        for my $accept ('identity', 'gzip') {
            my $r = $t->get($path, port => $port,
                            headers => { 'Accept-Encoding' => $accept });

            push @wrong, "$path, $accept: $r->{status}" if $r->{status} != 200;
            push @wrong, "$path, $accept: other bytes"
                if gunzipped($r) ne $origin{$path}{body};
            push @wrong, "$path, $accept: no CORS" if
                ($r->{headers}{'access-control-allow-origin'} // '') ne '*';
        }
    }

    is_deeply(\@wrong, [], 'Varnish: the same bytes of all, plain and gzipped');

    my $r = $t->get($segment, port => $port);

    is($r->{headers}{'x-cache'}, 'HIT', 'Varnish: a segment is a hit');
    is_deeply(entity($r), entity($origin{$segment}), 'with the same headers');

    $r = $t->get($segment, port => $port,
                 headers => { Range => 'bytes=100-199' });
    is($r->{status}, 206, 'Varnish: a range');
    ok($r->{body} eq substr($origin{$segment}{body}, 100, 100), 'its bytes');

    goes_on('Varnish', $port);
    forgets_404('Varnish', $port);
    plays($port);
}


# ffmpeg plays the live stream through Varnish: each of its packets is one
# that was published.
sub plays {
    my ($port) = @_;

    my $url = "http://127.0.0.1:$port/live/b/playlist.m3u8";

    my ($code, $output) = $t->command(
        qw/ ffmpeg -nostdin -v warning -i /, $url,
        qw/ -map 0:v -c copy -t 4 -f framemd5 /, "$dir/played.md5");

    is($code, 0, 'ffmpeg plays through Varnish (HTTP-47)') or diag($output);
    unlike($output, qr/error|invalid|corrupt|expired|skipping/i,
           'without a complaint');

    $t->command(qw/ ffmpeg -nostdin -v error -i /, $t->clip(%clip),
                qw/ -map 0:v -c copy -f framemd5 /, "$dir/clip.md5");

    my @played = md5s('played.md5');
    my %published = map { $_ => 1 } md5s('clip.md5');

    cmp_ok(@played, '>=', 110, 'four seconds of it');
    is((grep { !$published{$_} } @played), 0,
       'every packet is one that was published');

    ($code, $output) = $t->command(
        qw/ ffmpeg -nostdin -v error -i /, $url, qw/ -t 3 -f null - /);

    is($code, 0, 'ffmpeg decodes it');
    is($output, '', 'without an error line');
}


sub md5s {
    my ($file) = @_;

    return map { /([0-9a-f]{32})$/ ? $1 : () } grep { !/^#/ }
           split /\n/, $t->read_file($file) // '';
}
