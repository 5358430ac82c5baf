#!/usr/bin/env perl

# TLS and HTTP/2: the same bytes and headers as over plain HTTP, with sendfile
# and without, for many at once and for the slow (issue requirement 11,
# HTTP-70, HTTP-79, invariant 4).

use strict;
use warnings;

use Test::More;
use Test::Live;
use Test::Live::M3U8;

my $t = Test::Live->new();
my $dir = $t->dir();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
events { }
live {
    zone 128m;
    segment 2s;
    window 30s;
    resume 1h;
    application live { }
    application brief { segment 1s max=1s; window 3s; }
}
stream { server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } }
http {
    %%TEST_GLOBALS_HTTP%%
    ssl_certificate %%DIR%%/cert.pem;
    ssl_certificate_key %%DIR%%/key.pem;
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        listen 127.0.0.1:%%PORT_8441%% ssl;
        listen 127.0.0.1:%%PORT_8442%% ssl http2;
        sendfile on;
        location /live/ { live_play live; }
        location /brief/ { live_play brief; }
    }
    server {
        listen 127.0.0.1:%%PORT_8443%% ssl;
        listen 127.0.0.1:%%PORT_8444%% ssl http2;
        sendfile off;
        location /live/ { live_play live; }
        location /brief/ { live_play brief; }
    }
}
CONF

my ($code, $output) = $t->command(
    qw/ openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /,
    '/CN=localhost', '-keyout', "$dir/key.pem", '-out', "$dir/cert.pem");

is($code, 0, 'a certificate') or diag($output);

$t->run();

my %kinds = (
    8441 => [ 'HTTP/1.1 over TLS', '--http1.1' ],
    8442 => [ 'HTTP/2', '--http2' ],
    8443 => [ 'HTTP/1.1 over TLS, sendfile off', '--http1.1' ],
    8444 => [ 'HTTP/2, sendfile off', '--http2' ],
);

# large enough that no socket buffer takes a segment whole
my %clip = (seconds => 8, gop => 30, size => '640x360', extra => [ '-qp', 4 ]);

my $publisher = $t->ffmpeg_publish('live/a', clip => \%clip, realtime => 0);

is($t->wait_exit($publisher, 60), 0, 'a publisher came and went')
    or diag($t->output($publisher));

my @urls = ('/live/a/playlist.m3u8');

for my $rendition (qw/ source audio /) {
    my $path = "/live/a/$rendition";
    my $p = Test::Live::M3U8->parse($t->get("$path/playlist.m3u8")->{body});

    is_deeply($p->{errors}, [], "the playlist of $rendition keeps the rules");
    push @urls, "$path/playlist.m3u8", "$path/$p->{segments}[0]{map}",
         map { "$path/$_->{uri}" } @{ $p->{segments} };
}

my %plain = map { $_ => $t->get($_) } @urls;

my ($large) = sort { length $plain{$b}{body} <=> length $plain{$a}{body} }
              @urls;
my $size = length $plain{$large}{body};

cmp_ok($size, '>', 400_000, "a segment of $size bytes");

same_bytes($_) for sort keys %kinds;
same_headers($_) for sort keys %kinds;
ranges($_) for sort keys %kinds;
many_at_once($_) for 8442, 8444;
slow();
slower_than_the_window();

done_testing();


# --- helpers ------------------------------------------------------------------

sub url {
    my ($port, $path) = @_;

    return 'https://127.0.0.1:' . $t->port($port) . $path;
}


# The status line's version, the status, the headers, and the body.
sub curl {
    my ($port, $path, @options) = @_;

    $t->write_file($_, '') for qw/ head body /;

    my ($exit) = $t->command('curl', '-sk', $kinds{$port}[1], @options,
                             '-D', "$dir/head", '-o', "$dir/body",
                             url($port, $path));
    my ($line, @lines) = split /\r\n/, $t->read_file('head');
    my ($version, $status) = ($line // '') =~ m{^HTTP/(\S+) (\d+)};
    my %headers = map { /^([^:]+): *(.*)/ ? (lc $1 => $2) : () } @lines;

    return { exit => $exit, version => $version, status => $status // 0,
             headers => \%headers, body => $t->read_file('body') };
}


sub entity {
    my ($r) = @_;

    my %h = %{ $r->{headers} };

    delete @h{qw/ date connection /};

    return \%h;
}


# --- the same -----------------------------------------------------------------

sub same_bytes {
    my ($port) = @_;

    my ($name, $version) = @{ $kinds{$port} };
    my @files = map { "$dir/out.$port.$_" } 0 .. $#urls;

    my ($exit) = $t->command('curl', '-sk', $version,
        map { ('-o', $files[$_], url($port, $urls[$_])) } 0 .. $#urls);

    is($exit, 0, "$name: curl gets everything");

    my @wrong = grep {
        ($t->read_file($files[$_]) // '') ne $plain{ $urls[$_] }{body}
    } 0 .. $#urls;

    is("@urls[@wrong]", '', "$name: playlists, init segments and segments "
                            . 'are those of plain HTTP');
}


sub same_headers {
    my ($port) = @_;

    my $name = $kinds{$port}[0];
    my $version = $kinds{$port}[1] =~ /2/ ? '2' : '1.1';

    for my $path (@urls[0 .. 2], $large) {
        my $r = curl($port, $path);
        my $head = curl($port, $path, '-I');
        my ($file) = $path =~ m{([^/]+)$};

        is($r->{version}, $version, "$name: version");
        is_deeply(entity($r), entity($plain{$path}), "$name: $file: headers");
        is_deeply(entity($head), entity($r), "$name: $file: HEAD (HTTP-30)");

        my $etag = $r->{headers}{etag};
        my $again = curl($port, $path, '-H', "If-None-Match: $etag");

        is($again->{status}, 304, "$name: $file: 304 (HTTP-26)");
        is($again->{body}, '', "$name: $file: without a body");
        is($again->{headers}{'access-control-allow-origin'}, '*',
           "$name: $file: with CORS");
    }

    my $r = curl($port, '/live/none/playlist.m3u8');

    is($r->{status}, 404, "$name: 404");
    is($r->{headers}{'cache-control'}, 'public, max-age=1',
       "$name: for a second");
    is(curl($port, $urls[0], '-X', 'POST', '-d', 'x')->{status}, 405,
       "$name: 405");

    my $gzip = curl($port, $urls[1], '--compressed');

    is($gzip->{headers}{'content-encoding'}, 'gzip', "$name: gzip (HTTP-39)");
    is($gzip->{body}, $plain{ $urls[1] }{body}, "$name: and back");
}


sub ranges {
    my ($port) = @_;

    my $name = $kinds{$port}[0];
    my $end = $size - 1;

    for (['0-0', 0, 0], ['1000-299999', 1000, 299_999], ['-5000', $end - 4999, $end],
         ["300001-", 300_001, $end])
    {
        my ($range, $first, $last) = @$_;
        my $r = curl($port, $large, '-r', $range);

        is($r->{status}, 206, "$name: range $range: 206 (HTTP-27)");
        is($r->{headers}{'content-range'}, "bytes $first-$last/$size",
           "$name: range $range: Content-Range");
        ok($r->{body} eq substr($plain{$large}{body}, $first,
                                $last - $first + 1),
           "$name: range $range: its bytes");
    }

    is(curl($port, $large, '-r', "$size-")->{status}, 416, "$name: 416");
}


# --- many and slow ------------------------------------------------------------

# Over few connections, with playlists between the segments (HTTP-71).
sub many_at_once {
    my ($port) = @_;

    my $name = $kinds{$port}[0];
    my (@config, @wanted);

    for my $i (0 .. 239) {
        my $path = $urls[$i % @urls];

        push @wanted, [ "$dir/many.$i", $path ];
        push @config, 'url = "' . url($port, $path) . '"',
                      "output = \"$dir/many.$i\"";
    }

    $t->write_file('many.conf', join "\n", @config, '');

    my ($exit, $text) = $t->command(
        qw/ curl -skZ --http2 --parallel-max 100 -K /, "$dir/many.conf");

    is($exit, 0, "$name: 240 requests, 100 at once") or diag($text);

    my @wrong = grep {
        ($t->read_file($_->[0]) // '') ne $plain{ $_->[1] }{body}
    } @wanted;

    is(@wrong, 0, "$name: each has the right bytes");
    unlink map { $_->[0] } @wanted;
}


sub slow_curl {
    my ($port, $path, $rate, $file) = @_;

    return $t->spawn('curl', '-sk', $kinds{$port}[1], '--limit-rate', $rate,
                     '-o', "$dir/$file", url($port, $path));
}


sub slow {
    my $rate = int($size / 4000) . 'k';
    my %curl = map { $_ => slow_curl($_, $large, $rate, "slow.$_") }
               sort keys %kinds;

    for my $port (sort keys %curl) {
        my $name = $kinds{$port}[0];

        is($t->wait_exit($curl{$port}, 60), 0, "$name: a slow reader ends");
        ok($t->read_file("slow.$port") eq $plain{$large}{body},
           "$name: and has the right bytes");
    }
}


# Their segment leaves the window long before they have it.
sub slower_than_the_window {
    my $encoder = $t->ffmpeg_publish('brief/b', clip => \%clip, loop => -1);
    my ($p, $path);

    my $newest = sub {
        my $r = $t->get('/brief/b/source/playlist.m3u8');

        $p = Test::Live::M3U8->parse($r->{body});
        return @{ $p->{segments} } ? $p->{segments}[-1] : undef;
    };

    my $segment = $t->wait_for($newest, 20, 'segment');

    ok($segment, 'a stream with a short window') or return;
    $path = "/brief/b/source/$segment->{uri}";

    my $whole = $t->get($path)->{body};
    my $rate = int(length($whole) / 25) || 1;
    my %curl = map { $_ => slow_curl($_, $path, $rate, "slower.$_") }
               sort keys %kinds;

    ok($t->wait_for(sub { $t->get($path)->{status} == 404 }, 30, '404'),
       'the segment has left the zone');

    my $at = $newest->()->{msn};

    $t->wait_for(sub { $newest->()->{msn} > $at + 2 }, 20, 'more segments');

    for my $port (sort keys %curl) {
        my $name = $kinds{$port}[0];
        my $exit = $t->wait_exit($curl{$port}, 60);
        my $got = $t->read_file("slower.$port") // '';

        ok(defined $exit, "$name: the reader ends");
        ok($got eq substr($whole, 0, length $got),
           "$name: what it has is right (invariant 4)");
        ok($exit || $got eq $whole,
           "$name: and a part is not taken for the whole (HTTP-79)");
    }

    $t->end($encoder);
}
