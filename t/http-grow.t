#!/usr/bin/env perl

# A segment that is sent while it is being made (LL-DASH: DASH-48 to DASH-51,
# HTTP-11): to whom, in what pieces, and how it ends.

# asan
# waits

use strict;
use warnings;

use List::Util qw/ sum0 /;
use Test::Live;
use Test::Live::MPD;
use Test::Live::Steps;
use Test::More;
use Time::HiRes qw/ time /;

my $conf = <<'CONF';
%%TEST_GLOBALS%%
worker_processes WORKERS;
events { }
thread_pool default threads=1;
live {
    zone 64m;
    segment 2s max=3s;
    part 500ms;
    window 60s;
    resume 1h;
    publish_timeout 1h;
    application live { }
}
stream { server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } }
http {
    %%TEST_GLOBALS_HTTP%%
    log_format hold '$status $live_hold $request_method $request_uri';
    access_log %%DIR%%/hold.log hold;
    ssl_certificate %%DIR%%/cert.pem;
    ssl_certificate_key %%DIR%%/key.pem;

    server {
        listen 127.0.0.1:%%PORT_8080%% LISTEN;
        location /live/ { live_play live; }
        location /aio/ { aio threads; sendfile off; live_play live; }
        location /rate/ { limit_rate 100k; live_play live; }
        location /whole/ { chunked_transfer_encoding off; live_play live; }
        location /short/ { live_cache_control segment "max-age=9";
                           live_play live; }
    }
    server {
        listen 127.0.0.1:%%PORT_8081%%;
        tcp_nopush on;
        postpone_output 10000;
        location /live/ { live_play live; }
    }
    server {
        listen 127.0.0.1:%%PORT_8082%% sndbuf=4k;
        location /live/ { live_play live; }
    }
    server {
        listen 127.0.0.1:%%PORT_8083%% http2;
        location /live/ { live_play live; }
    }
    server {
        listen 127.0.0.1:%%PORT_8084%% ssl http2;
        tcp_nopush on;
        location /live/ { live_play live; }
    }
}
CONF

my $t = start(1, '');
my $year = 'public, max-age=31536000, immutable';

my $p = Test::Live::Steps->publish($t, 'live/a', seconds => 60);

$p->upto(5000);
$t->wait_for(sub { $p->edge('source')->{status} == 200 }, 10, 'playlist');

test_growing();
test_whole();
test_next();
test_many();
test_gone_client();
test_end();
test_late();
test_reload();
test_death();

done_testing();


# --- helpers ------------------------------------------------------------------

sub start {
    my ($workers, $listen) = @_;

    my $nginx = Test::Live->new();
    my $text = $conf =~ s/WORKERS/$workers/r;

    my ($code, $output) = $nginx->command(
        qw/ openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /,
        '/CN=localhost', '-keyout', $nginx->dir() . '/key.pem',
        '-out', $nginx->dir() . '/cert.pem');

    is($code, 0, 'a certificate') or diag($output);

    $nginx->write_file_expand('nginx.conf', $text =~ s/LISTEN/$listen/r);

    return $nginx->run();
}


# Goes on until the open segment has that many parts.
sub parts {
    my ($n) = @_;

    return $p->until_true(sub {
        my $e = $p->edge('source');

        return $e->{parts} == $n ? $e : undef;
    });
}


sub segment_path {
    my ($e, $msn, $prefix) = @_;

    my ($epoch) = $e->{body} =~ /seg-(\w+)-/;
    my $path = "$e->{base}/seg-$epoch-$msn.m4s";

    $path =~ s{^/live/}{$prefix} if $prefix;

    return $path;
}


# Sizes of the parts that a segment has so far.
sub sizes {
    my ($e, $msn) = @_;

    my @parts = $msn == $e->{msn} ? @{ $e->{playlist}{next}{parts} }
        : map { @{ $_->{parts} } }
          grep { $_->{msn} == $msn } @{ $e->{playlist}{segments} };

    return map { length $t->get("$e->{base}/$_->{URI}")->{body} } @parts;
}


sub chunk_sizes {
    my ($raw) = @_;

    my ($rest) = $raw =~ /\r\n\r\n(.*)\z/s;
    my @sizes;

    while ($rest =~ s/\A([0-9a-fA-F]+)\r\n//) {
        push @sizes, hex $1;
        substr($rest, 0, $sizes[-1] + 2) = '';
    }

    return @sizes;
}


sub curl {
    my ($name, @args) = @_;

    my $file = $t->dir() . "/$name.body";
    my $pid = $t->spawn(qw/ curl -skN --max-time 60 -o /, $file, '-D',
                        "$file.headers", @args);

    return { file => $file, pid => $pid, size => sub { (-s $file) // 0 } };
}


# --- in pieces ----------------------------------------------------------------

sub test_growing {
    my $e = parts(2);
    my $msn = $e->{msn};
    my @before = sizes($e, $msn);
    my $path = segment_path($e, $msn);

    my %asked = (
        'HTTP/1.1'    => ask($t, $path),
        'aio threads' => ask($t, segment_path($e, $msn, '/aio/')),
        'cache class' => ask($t, segment_path($e, $msn, '/short/')),
        'tcp_nopush'  => ask($t, $path, port => $t->port(8081)),
    );

    # these take it when they can
    my %slow = (
        'limit_rate' => ask($t, segment_path($e, $msn, '/rate/')),
        'slow reader' => ask($t, $path, port => $t->port(8082),
                             rcvbuf => 2304),
    );

    my $h2 = 'http://127.0.0.1:' . $t->port(8083) . $path;
    my $tls = 'https://127.0.0.1:' . $t->port(8084) . $path;

    my %curl = (
        'h2'      => curl('h2', '--http2-prior-knowledge', $h2),
        'h2 TLS'  => curl('h2tls', '--http2', $tls),
        'h1 TLS'  => curl('h1tls', '--http1.1', $tls),
    );

    my @sizes = @before;
    my $have = sub {
        my ($when) = @_;

        my $want = sum0(@sizes);

        for my $name (sort keys %asked) {
            my $got = 0;

            ok(more($asked{$name}, sub { ($got = length $_[0]) >= $want }),
               "$name: $when is there at once (DASH-49)");
            is($got, $want, "$name: and no byte more");
        }

        for my $name (sort keys %curl) {
            ok($t->wait_for(sub { $curl{$name}{size}->() >= $want }, 15,
                            "$want bytes"), "$name: $when is there");
            is($curl{$name}{size}->(), $want, "$name: and no byte more");
        }
    };

    $have->('what there is');

    my $now = parts(3);

    is($now->{msn}, $msn, 'the segment goes on');
    @sizes = sizes($now, $msn);
    $have->('the next part');

    $now = parts(1);
    is($now->{msn}, $msn + 1, 'it is complete');
    @sizes = sizes($now, $msn);

    my $whole = $t->get($path);

    is($whole->{status}, 200, 'now it has a length and an ETag');
    is($whole->{headers}{'content-length'}, length $whole->{body}, 'a length');
    ok($whole->{headers}{etag}, 'an ETag');
    is(length $whole->{body}, sum0(@sizes), 'the length of its parts');

    for my $name (sort keys %asked, sort keys %slow) {
        my $r = answer($asked{$name} || $slow{$name});
        my $cache = $name eq 'cache class' ? 'max-age=9' : $year;

        is($r->{status}, 200, "$name: 200") or diag($r->{error});
        ok(!$r->{truncated}, "$name: it ends as it should");
        ok($r->{body} eq $whole->{body},
           "$name: the bytes are those that it has later (invariant 3)");
        is($r->{headers}{'transfer-encoding'}, 'chunked', "$name: chunked");
        is($r->{headers}{'cache-control'}, $cache, "$name: Cache-Control");
        is($r->{headers}{'content-type'}, 'video/mp4', "$name: its type");
        is($r->{headers}{$_}, undef, "$name: no $_")
            for qw/ content-length etag accept-ranges last-modified /;
    }

    is_deeply([ chunk_sizes($asked{'HTTP/1.1'}{raw}) ],
              [ sum0(@sizes[0, 1]), @sizes[2 .. $#sizes], 0 ],
              'one chunk for each part (DASH-48)');

    for my $name (sort keys %curl) {
        is($t->wait_exit($curl{$name}{pid}, 15), 0, "$name: it ends well");
        ok($t->read_file($curl{$name}{file}) eq $whole->{body},
           "$name: the bytes are those that it has later");
    }

    like($t->read_file("$curl{h2}{file}.headers"), qr/\AHTTP\/2 200/,
         'it was HTTP/2');
}


# --- who waits for the whole --------------------------------------------------

sub test_whole {
    my $e = parts(2);
    my $path = segment_path($e, $e->{msn});

    my %asked = (
        'HTTP/1.0'    => ask($t, $path, version => '1.0'),
        'HEAD'        => ask($t, $path, method => 'HEAD'),
        'Range'       => ask($t, $path, headers => { Range => 'bytes=4-7' }),
        'chunked off' => ask($t, segment_path($e, $e->{msn}, '/whole/')),
    );

    settle($t);
    ok(is_held($asked{$_}), "$_ waits for the whole segment")
        for sort keys %asked;
    parts(1);

    my $whole = $t->get($path);

    for my $name (sort keys %asked) {
        my $r = answer($asked{$name});
        my $body = $name eq 'Range' ? substr($whole->{body}, 4, 4)
                 : $name eq 'HEAD'  ? '' : $whole->{body};

        is($r->{status}, $name eq 'Range' ? 206 : 200, "$name: its status");
        ok($r->{body} eq $body, "$name: its bytes");
        is($r->{headers}{etag}, $whole->{headers}{etag}, "$name: its ETag");
        is($r->{headers}{'content-length'},
           length($name eq 'HEAD' ? $whole->{body} : $body),
           "$name: its length (HTTP-78)");
    }
}


# The segment behind it is worth a wait when it is near.
sub test_next {
    my $e = parts(1);

    is($t->get(segment_path($e, $e->{msn} + 1))->{status}, 404,
       'the next segment is far yet: 404');

    $e = parts(3);

    my $path = segment_path($e, $e->{msn} + 1);
    my $q = ask($t, $path);
    my $far = $t->get(segment_path($e, $e->{msn} + 2));

    is($far->{status}, 404, 'the one behind it: 404');
    is($far->{headers}{'cache-control'}, 'public, max-age=1', 'for a second');

    settle($t);
    ok(is_held($q), 'the next segment is near: held without a header');

    parts(1);
    ok(more($q, sub { length $_[0] }), 'it has begun');
    parts(2);
    parts(1);

    my $r = answer($q);

    ok(!$r->{truncated} && $r->{body} eq $t->get($path)->{body},
       'and is whole in the end');
}


# All get the same (HTTP-52).
sub test_many {
    my $e = parts(2);
    my $path = segment_path($e, $e->{msn});
    my @asked = map { ask($t, $path) } 1 .. 60;

    parts(1);

    my $whole = $t->get($path)->{body};
    my $same = grep { my $r = answer($_);
                      !$r->{truncated} && $r->{body} eq $whole } @asked;

    is($same, 60, '60 at once: one body');
}


sub test_gone_client {
    my $e = parts(2);
    my $path = segment_path($e, $e->{msn}) . '?gone';
    my $q = ask($t, $path);

    ok(more($q, sub { length $_[0] }), 'a client has got the first parts');
    close $q->{socket};

    # while the publisher sends nothing
    ok($t->wait_for(sub { $t->read_file('hold.log') =~ /\Q$path\E$/m }, 5,
                    'line of the log'),
       'it goes away, and so does its request (HTTP-72)');
}


# --- the end of the publisher -------------------------------------------------

sub test_end {
    my $e = parts(2);
    my $path = segment_path($e, $e->{msn});
    my $q = ask($t, $path);

    ok(more($q, sub { length $_[0] }), 'a client has got the first parts');
    $p->stop();

    my $r = answer($q);
    my $whole = $t->get($path);

    is($whole->{status}, 200, 'the publisher goes: its segment is complete');
    ok(!$r->{truncated} && $r->{body} eq $whole->{body},
       'and so is what was being sent (DASH-50)');
}


# The manifest has announced a segment that a publisher is late with: who asks
# when it is time waits for it (DASH-3).
sub test_late {
    $p = Test::Live::Steps->publish($t, 'live/l');
    $p->upto(4500);
    $t->wait_for(sub { $p->edge('source')->{status} == 200 }, 10, 'playlist');

    my $e = parts(1);
    my $path = segment_path($e, $e->{msn} + 1);
    my $mpd = Test::Live::MPD->parse($t->get('/live/l/manifest.mpd')->{body});
    my $period = $mpd->{periods}[-1];
    my $grid = $period->{sets}[0]{reps}[0]{template};
    my $d = $grid->{duration} / $grid->{timescale};
    my $begin = $mpd->{ast} + $period->{start}
                + ($e->{msn} + 1 - $grid->{start_number}) * $d;

    cmp_ok(time(), '<', $begin, 'a segment is to begin at a time to come');
    is($t->get($path)->{status}, 404, 'until then it is not there');
    $t->wait_for(sub { time() > $begin + $d - $grid->{ato} }, 15, 'its time');

    my $q = ask($t, $path);
    my $far = $t->get(segment_path($e, $e->{msn} + 9));

    is($far->{status}, 404, 'what is not announced is not there');
    settle($t);
    ok(is_held($q), 'who asks when it is announced waits');

    parts(3);
    parts(1);
    ok(more($q, sub { length $_[0] }), 'and gets it when it begins');
    parts(2);
    parts(1);

    my $r = answer($q);

    is($r->{status}, 200, 'it is there');
    ok(!$r->{truncated} && $r->{body} eq $t->get($path)->{body},
       'and is whole in the end');
    $p->stop();
}


# A worker that has nothing else to do waits for the end of what it sends
# (invariant 8).
sub test_reload {
    $t->finish();
    $t = start(2, 'reuseport');
    $p = Test::Live::Steps->publish($t, 'live/r');
    $p->upto(3000);
    $t->wait_for(sub { $p->edge('source')->{status} == 200 }, 10, 'playlist');

    my $e = parts(2);
    my $path = segment_path($e, $e->{msn});
    my @asked = map { ask($t, $path) } 1 .. 30;

    ok(more($_, sub { length $_[0] }), 'the first parts are there')
        for @asked;

    my @old = $t->workers();

    ok($t->reload(), 'nginx is reloaded');
    settle($t);

    is(scalar(grep { my $pid = $_; grep { $_ == $pid } $t->workers(1) } @old),
       2, 'the workers of before stay, for they send still');

    parts(1);

    my $whole = $t->get($path)->{body};
    my $same = grep { my $r = answer($_);
                      !$r->{truncated} && $r->{body} eq $whole } @asked;

    is($same, 30, 'a reload cuts off nothing that grows');

    $p->stop();
}


# What looks complete is complete, whoever dies (invariants 3 and 7).
sub test_death {
    $t->finish();
    $t = start(2, 'reuseport');
    $t->allow_log(qr/exited on signal 9/);
    $p = Test::Live::Steps->publish($t, 'live/b');
    $p->upto(3000);
    $t->wait_for(sub { $p->edge('source')->{status} == 200 }, 10, 'playlist');

    my $e = parts(2);
    my $path = segment_path($e, $e->{msn});
    my @asked = map { ask($t, $path) } 1 .. 30;

    ok(more($_, sub { length $_[0] }), 'the first parts are there')
        for @asked;

    my ($line) = $t->log(qr{publishing begins.*"live/b"});
    my ($owner) = $line =~ /\] (\d+)#/;

    kill 'KILL', $owner;

    my @responses = map { answer($_, 30) } @asked;
    my $whole = $t->wait_for(sub {
        my $r = $t->get($path);

        return $r->{status} == 200 ? $r->{body} : undef;
    }, 20, 'complete segment');

    my $cut = grep { $_->{truncated} } @responses;
    my $bad = grep { !$_->{truncated} && $_->{body} ne $whole } @responses;
    my $other = grep { index($whole, $_->{body}) != 0 } @responses;

    cmp_ok($cut, '>', 0, 'what its worker was sending is cut off (HTTP-79)');
    is($bad, 0, 'nothing ends as if it were whole and is not');
    is($other, 0, 'nobody has got bytes that are not those of the segment');
}
