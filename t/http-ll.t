#!/usr/bin/env perl

# Low latency over HTTP: blocking playlist reload, hinted parts, and whatever
# else is asked for a moment early (HLS-57 to HLS-65, HLS-93).

# asan
# waits

use strict;
use warnings;

use IO::Uncompress::Gunzip qw/ gunzip /;
use Test::Live;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::Live::Steps;
use Test::More;

my $conf = <<'CONF';
%%TEST_GLOBALS%%
worker_processes WORKERS;
events { }
live {
    zone 64m;
    segment 2s max=3s;
    part 500ms;
    window 12s;
    resume 1h;
    publish_timeout 1h;
    application live { }
    application quick { segment 500ms max=1s; part 250ms; window 2s; }
    application plain { part 0; }
    application brief { resume 1s; }
}
stream { server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } }
http {
    %%TEST_GLOBALS_HTTP%%
    log_format hold '$status $live_hold $request_method $request_uri';
    access_log %%DIR%%/hold.log hold;
    add_header X-Pid $pid always;
    server {
        listen 127.0.0.1:%%PORT_8080%% LISTEN;
        location /live/ { live_play live; }
        location /quick/ { live_play quick; }
        location /plain/ { live_play plain; }
        location /brief/ { live_play brief; }
    }
}
CONF

my $t = start(1, '');

my $year = 'public, max-age=31536000, immutable';
my $second = 'public, max-age=1';
my $blocking = 'public, max-age=9';     # three target durations

test_begin();
test_ready();
test_malformed();
test_held();
test_delta();
test_parts();
test_limit();
test_away();
test_ended();
test_plain();
test_gone_client();
test_workers();

done_testing();


# --- helpers ------------------------------------------------------------------

sub start {
    my ($workers, $listen) = @_;

    my $nginx = Test::Live->new();
    my $text = $conf =~ s/WORKERS/$workers/r;

    $nginx->write_file_expand('nginx.conf', $text =~ s/LISTEN/$listen/r);

    return $nginx->run();
}


# A publisher that has come to that time.
sub publisher {
    my ($url, $ms) = @_;

    my $p = Test::Live::Steps->publish($t, $url);

    $p->upto($ms);
    $t->wait_for(sub { $p->edge('source')->{status} == 200 }, 10, 'playlist');

    return $p;
}


# Goes on until the open segment has that many parts.
sub parts {
    my ($p, $n) = @_;

    return $p->until_true(sub {
        my $e = $p->edge('source');

        return $e->{parts} == $n ? $e : undef;
    });
}


# The playlist of a response has the part, or the segment.
sub has {
    my ($r, $msn, $part) = @_;

    my $e = Test::Live::Steps::edge_of($r, '');

    return 0 unless $e->{playlist};
    return $e->{msn} > $msn unless defined $part;
    return 1 if $e->{msn} > $msn + 1;

    return $e->{parts} > $part if $msn == $e->{msn};

    return $msn + 1 == $e->{msn}
           && ($part < $e->{last_parts} || $e->{parts} > 0);
}


# What the access log says of a request that was held: [status, ms].
sub logged {
    my ($request) = @_;

    my $found = $t->wait_for(sub {
        my ($line) = grep { /\Q$request\E$/ }
                     split /\n/, $t->read_file('hold.log');

        return $line;
    }, 10, "log of $request") || '- -';

    return [ split / /, $found ];
}


sub is_error {
    my ($r, $status, $name, $cache) = @_;

    is($r->{status}, $status, "$name: $status") or diag($r->{raw});
    is($r->{headers}{'cache-control'}, $cache || $second,
       "$name: its Cache-Control");
    is($r->{headers}{'access-control-allow-origin'}, '*', "$name: CORS");
}


# --- a stream that has just begun ---------------------------------------------

sub test_begin {
    my $p = Test::Live::Steps->publish($t, 'live/begin');

    # the stream is there once its publisher is told so
    my @asked = map { ask($t, "/live/begin/$_") }
                qw{ playlist.m3u8 master.m3u8 source/playlist.m3u8
                    source/playlist.m3u8?_HLS_msn=1&_HLS_part=0
                    audio/playlist.m3u8 manifest.mpd none/playlist.m3u8 };

    settle($t);
    ok(is_held($_), "$_->{path} waits for the first part") for @asked;

    my $other = $t->get('/live/nobody/source/playlist.m3u8');
    is_error($other, 404, 'a stream that nobody publishes');

    $p->upto(5000);

    for my $q (@asked) {
        my $r = answer($q);
        my $want = $q->{path} =~ /none/ ? 404 : 200;

        is($r->{status}, $want, "$q->{path} is answered with $want")
            or diag($r->{raw});
        cmp_ok(logged("GET $q->{path}")->[1], '>', 0,
               "$q->{path}: \$live_hold says so (HTTP-89)");
    }

    $p->stop();
}


# --- what can be answered at once ---------------------------------------------

sub test_ready {
    my $p = publisher('live/ready', 7000);
    my $e = parts($p, 2);
    my $last = $e->{msn} - 1;

    is_deeply($e->{playlist}{errors}, [], 'the playlist keeps the rules');
    ok($e->{playlist}{part_target}, 'it has low latency');
    is($e->{headers}{'cache-control'}, $second,
       'a plain playlist: max-age=1 (HTTP-2)');

    my @ready = (
        [ "_HLS_msn=$last", $blocking ],
        [ "_HLS_msn=$last&_HLS_part=0", $blocking ],
        [ "_HLS_msn=$last&_HLS_part=" . ($e->{last_parts} - 1), $blocking ],
        [ "_HLS_msn=$last&_HLS_part=$e->{last_parts}", $blocking ],
        [ "_HLS_msn=$e->{msn}&_HLS_part=0", $blocking ],
        [ "_HLS_part=1&_HLS_msn=$e->{msn}", $blocking ],
        [ "%5FHLS_msn=%3" . substr("$last", 0, 1) . substr("$last", 1),
          $blocking ],
        [ '_HLS_msn=0', $second ],
        [ '_HLS_msn=0000', $second ],
        [ '_HLS_msn=1&_HLS_part=99', $second ],
        [ '', $second ],
        [ '_HLS_foo=1&_hls_msn=99&HLS_msn=x&x_HLS_msn=y&&=&=1&%=2', $second ],
        [ '_HLS_skip=no', $second ],
        [ 'CMCD=br%3D1', $second ],
    );

    for my $ready (@ready) {
        my ($query, $cache) = @$ready;
        my $r = $t->get("$e->{path}?$query");

        is($r->{status}, 200, "?$query: at once (HLS-59)") or diag($r->{raw});
        is($r->{body}, $e->{body}, "?$query: the present playlist (HLS-62)");
        is($r->{headers}{'cache-control'}, $cache,
           "?$query: Cache-Control (HLS-64)");
        is($r->{headers}{etag}, $e->{headers}{etag}, "?$query: one ETag");
        is(logged("GET $e->{path}?$query")->[1], 0, "?$query: not held");
    }

    $p->stop();
}


sub test_malformed {
    my $p = publisher('live/bad', 5000);
    my $e = parts($p, 1);
    my $limit = 3 / 0.5;

    my @bad = (
        map({ "_HLS_msn=$_" } '', 'x', '-1', '+1', '1.5', '1e3', '0x1', '1x',
            '%31%', '%3', '%zz', '%001', '9007199254740993', '1' x 40,
            $e->{msn} + 2, 9007199254740992),
        '_HLS_msn', '_HLS_part=0', '_HLS_part=0&_HLS_skip=YES',
        '_HLS_msn=1&_HLS_part=', '_HLS_msn=1&_HLS_part=a',
        '_HLS_msn=1&_HLS_msn=1', '_HLS_msn=1&_HLS_part=0&_HLS_part=0',
        '_HLS_skip=YES&_HLS_skip=YES', '_HLS_msn=1&%5FHLS_msn=1',
        "_HLS_msn=$e->{msn}&_HLS_part=" . ($e->{parts} + $limit),
        '_HLS_msn=' . ($e->{msn} - 1) . '&_HLS_part='
            . ($e->{last_parts} + $limit + 1),
        '_HLS_msn=' . ($e->{msn} + 1) . '&_HLS_part=' . ($limit + 1),
    );

    for my $query (@bad) {
        is_error($t->get("$e->{path}?$query"), 400, "?$query (HLS-57, 60)");
    }

    is($t->get("/live/bad/playlist.m3u8?_HLS_msn=x")->{status}, 200,
       'a multivariant playlist has no directives');
    is($t->get("/live/bad/manifest.mpd?_HLS_msn=x")->{status}, 200,
       'nor has a manifest');

    $p->stop();
}


# --- what has to wait ---------------------------------------------------------

sub test_held {
    my $p = publisher('live/held', 7000);
    my $e = parts($p, 1);
    my ($next, $path) = ($e->{msn}, $e->{path});

    my @wanted = ([ $next ], [ $next, 1 ], [ $next, 2 ], [ $next, 3 ],
                  [ $next, 5 ], [ $next + 1 ], [ $next + 1, 0 ],
                  [ $next + 1, 2 ]);
    my @asked;

    for my $want (@wanted) {
        my $query = "_HLS_msn=$want->[0]"
                    . (defined $want->[1] ? "&_HLS_part=$want->[1]" : '');

        for my $method (qw/ GET HEAD /) {
            my $q = ask($t, "$path?$query&$method", method => $method);

            push @asked, { %$q, want => $want, q => $q, name =>
                           "$method $query" };
        }
    }

    settle($t);
    ok(is_held($_->{q}), "$_->{name}: held (HLS-59)") for @asked;

    # A step at a time; before each, what is not there has no answer, and after
    # it, what has come has one.
    my (@wrong, %answered);

    $p->until_true(sub {
        my $now = $p->edge('source');

        for my $a (grep { !$answered{ $_->{name} } } @asked) {
            if (has($now, @{ $a->{want} })) {
                $answered{ $a->{name} } = answer($a->{q});

            } elsif (!is_held($a->{q})) {

                # it may have come behind the playlist that was read
                my $r = $answered{ $a->{name} } = answer($a->{q});

                push @wrong, "$a->{name}: too early"
                    if $r->{status} != 200
                       || $a->{name} =~ /^GET/ && !has($r, @{ $a->{want} });
            }
        }

        return keys %answered == @asked;
    });

    is_deeply(\@wrong, [], 'nobody is answered too early');

    for my $a (@asked) {
        my $r = $answered{ $a->{name} } || { status => 0, headers => {} };

        is($r->{status}, 200, "$a->{name}: answered");
        is($r->{headers}{'cache-control'}, $blocking,
           "$a->{name}: may be kept for long (HTTP-3)");
        ok(has($r, @{ $a->{want} }), "$a->{name}: it has what was asked for")
            if $a->{name} =~ /^GET/;
        is(length $r->{body}, 0, "$a->{name}: no body (HTTP-30)")
            if $a->{name} =~ /^HEAD/;
    }

    # of the same version, the same bytes and the same ETag
    $e = parts($p, 1);
    my @same = map { ask($t, "$e->{path}?_HLS_msn=$e->{msn}&_HLS_part=1&$_",
                         headers => $_ % 2 ? { 'Accept-Encoding' => 'gzip' }
                                           : {}) } 1 .. 40;

    settle($t);
    parts($p, 2);

    my %bodies;

    for my $q (@same) {
        my $r = answer($q);
        my $text = $r->{body};

        gunzip(\$r->{body} => \$text) if $r->{headers}{'content-encoding'};
        $bodies{$text}++;
    }

    is_deeply([ values %bodies ], [ 40 ],
              'one version, plain and gzipped, for all that waited (HLS-63)');

    # conditions count when the hold is over
    my $now = $p->edge('source');
    my $q = ask($t, "$now->{path}?_HLS_msn=$now->{msn}&_HLS_part="
                    . $now->{parts},
                headers => { 'If-None-Match' => $now->{headers}{etag} });

    settle($t);
    parts($p, $now->{parts} + 1);
    is(answer($q)->{status}, 200,
       'If-None-Match is evaluated after the hold (HTTP-26)');

    $p->stop();
}


sub test_delta {
    my $p = publisher('live/delta', 30000);
    my $full = parts($p, 1);
    my $delta = $p->edge('source', '?_HLS_skip=YES');

    # what is older than CAN-SKIP-UNTIL is not in a window of 12 s
    SKIPPED: {
        my $until = $full->{playlist}{server_control}{'CAN-SKIP-UNTIL'};

        is_deeply($delta->{playlist}{errors}, [], 'a delta keeps the rules');
        is($delta->{msn}, $full->{msn}, 'it ends with the same segment');

        if ($delta->{playlist}{skipped}) {
            cmp_ok($until, '>', 0, 'CAN-SKIP-UNTIL');
            is($delta->{headers}{etag},
               $full->{headers}{etag} =~ s/"$/-d"/r, 'an ETag of its own');
            cmp_ok(length $delta->{body}, '<', length $full->{body},
                   'it is shorter (HLS-55)');
        } else {
            is($delta->{body}, $full->{body},
               'where nothing can be skipped, it is the full one');
        }
    }

    my $q = ask($t, "$full->{path}?_HLS_msn=$full->{msn}&_HLS_skip=v2"
                    . "&_HLS_part=$full->{parts}");

    settle($t);
    ok(is_held($q), 'a delta waits as well');
    parts($p, $full->{parts} + 1);

    my $r = answer($q);

    is($r->{status}, 200, 'and is answered');
    is(Test::Live::M3U8->parse($r->{body})->{skipped},
       $delta->{playlist}{skipped}, 'as a delta');

    $p->stop();
}


# --- parts (HLS-65) -----------------------------------------------------------

sub test_parts {
    my $p = publisher('live/parts', 7000);
    my $e = parts($p, 1);
    my ($epoch) = $e->{body} =~ /seg-(\w+)-/;
    my $name = sub { "$e->{base}/seg-$epoch-$_[0].m4s" };

    my %held = map { $_ => ask($t, $name->($_)) }
               "$e->{msn}.1", "$e->{msn}.2", ($e->{msn} + 1) . '.0';
    my $range = ask($t, $name->("$e->{msn}.1"),
                    headers => { Range => 'bytes=4-7' });
    my $head = ask($t, $name->("$e->{msn}.1"), method => 'HEAD');

    settle($t);
    ok(is_held($held{$_}), "part $_ waits") for sort keys %held;
    ok(is_held($range) && is_held($head), 'so do HEAD and Range');

    is_error($t->get($name->("$e->{msn}.$_")), 404, "part $_ is too far ahead")
        for 3, 4, 99;
    is_error($t->get($name->(($e->{msn} + 1) . '.1')), 404,
             'a later part of the next segment');
    is_error($t->get($name->(($e->{msn} + 2) . '.0')), 404,
             'a segment behind that');
    is_error($t->get($name->(($e->{msn} - 1) . '.' . $e->{last_parts})), 404,
             'a part that its segment has not',
             'public, max-age=10');

    $p->further(3000);

    my $first = answer($held{"$e->{msn}.1"});

    for my $msn (sort keys %held) {
        my $r = $msn eq "$e->{msn}.1" ? $first : answer($held{$msn});

        is($r->{status}, 200, "part $msn came") or diag($r->{raw});
        is($r->{headers}{'content-length'}, length $r->{body},
           "part $msn: whole, with its length");
        is($r->{headers}{'cache-control'}, $year, "part $msn: for ever");
        is($r->{headers}{etag}, "\"$epoch-$msn\"", "part $msn: its ETag");
        is($r->{headers}{'content-type'}, 'video/mp4', "part $msn: its type");

        # but for those of the first part it begins with no key frame
        my @errors = grep { !/CMAF-13: the first sample/ || $msn =~ /\.0$/ }
                     @{ Test::Live::MP4->segment($r->{body})->{errors} };

        is_deeply(\@errors, [], "part $msn: CMAF");
    }

    my $r = answer($range);

    is($r->{status}, 206, 'a range of it');
    is($r->{body}, substr($first->{body}, 4, 4), 'has its bytes');
    is(answer($head)->{headers}{'content-length'}, length $first->{body},
       'HEAD has its length');

    test_concatenation($p);
    $p->stop();
}


# A segment is its parts (HLS-67), of video and of audio.
sub test_concatenation {
    my ($p) = @_;

    for my $rendition (qw/ source audio /) {
        my $e = $p->edge($rendition);
        my $segment = $e->{playlist}{segments}[-1];
        my $whole = $t->get("$e->{base}/$segment->{uri}");
        my $bytes = '';

        cmp_ok(@{ $segment->{parts} }, '>', 1, "$rendition: parts are listed");
        $bytes .= $t->get("$e->{base}/$_->{URI}")->{body}
            for @{ $segment->{parts} };
        ok($bytes eq $whole->{body}, "$rendition: a segment is its parts");

        for my $spelling ('00', '01', '+0', '-1', '0x0', '', '0.0', '0%20') {
            my $path = "$e->{base}/$segment->{uri}" =~ s/m4s$/$spelling.m4s/r;

            is($t->get($path)->{status}, 404,
               "part '$spelling' is no spelling of any (HTTP-80)");
        }
    }
}


# --- the end of a hold --------------------------------------------------------

sub test_limit {
    my $p = publisher('quick/limit', 3000);
    my $e = $p->edge('source');
    my ($epoch) = $e->{body} =~ /seg-(\w+)-/;

    # the publisher stays and sends nothing
    my $q = ask($t, "$e->{path}?_HLS_msn=" . ($e->{msn} + 1));
    my $part = ask($t, "$e->{base}/seg-$epoch-$e->{msn}.$e->{parts}.m4s");
    my $r = answer($q, 20);

    is_error($r, 503, 'a playlist that does not come (HLS-61)');
    is($r->{headers}{'retry-after'}, 1, 'says when to ask again');

    my ($status, $hold) = @{ logged("GET $q->{path}") };

    is($status, 503, '503 in the log');
    cmp_ok($hold, '>=', 2900, 'after three target durations');
    is_error(answer($part, 20), 404, 'a part that does not come');

    # what the playlist lists no longer goes after a window and a target
    $p->further(6000);
    $t->wait_for(sub { $t->get("$e->{base}/seg-$epoch-1.m4s")->{status} == 404 },
                 20, 'retired segment');
    is_error($t->get("$e->{base}/seg-$epoch-$_.m4s"), 404,
             "$_ has gone (HTTP-14)", 'public, max-age=10') for '1', '1.0';

    $p->stop();
}


sub test_away {
    my $p = publisher('live/away', 7000);
    my $e = parts($p, 1);
    my ($epoch) = $e->{body} =~ /seg-(\w+)-/;
    my $next = $e->{msn} + 1;
    my $q = ask($t, "$e->{path}?_HLS_msn=$next");
    my $part = ask($t, "$e->{base}/seg-$epoch-$next.0.m4s");

    settle($t);
    ok(is_held($q) && is_held($part), 'held while the publisher is there');
    $p->stop();

    # well below the limit of a hold
    my $r = answer($q, 5);
    my $plain = $p->edge('source');

    is($r->{status}, 200, 'the publisher goes: answered at once (HLS-61)');
    is($r->{headers}{'cache-control'}, $second, 'as a plain playlist');
    is($r->{body}, $plain->{body}, 'with what there is');
    ok(!$plain->{playlist}{endlist}, 'which has not ended');
    is_error(answer($part, 5), 404, 'a part that will not come');

    $r = $t->get("$e->{path}?_HLS_msn=$plain->{msn}", timeout => 5);
    is($r->{status}, 200, 'while it is away, directives do not wait');
    is($r->{headers}{'cache-control'}, $second, 'and have no class of theirs');
    is_error($t->get("$e->{path}?_HLS_msn=x"), 400, 'but malformed is malformed');
    is_error($t->get("$e->{base}/seg-$epoch-$plain->{msn}$_.m4s"), 404,
             "media '$_' that will not come") for '', '.0';

    my $again = Test::Live::Steps->publish($t, 'live/away',
                                           tags => $p->{tags});

    $q = ask($t, "$e->{path}?_HLS_msn=" . ($plain->{msn} + 1));
    settle($t);
    $again->upto(8000);
    $r = answer($q);
    is($r->{status}, 200, 'the publisher is back, and blocking as well');
    ok(has($r, $plain->{msn} + 1), 'with what was asked for');
    $again->stop();
}


sub test_ended {
    my $p = publisher('brief/end', 5000);
    my $e = parts($p, 1);

    $p->stop();
    $t->wait_for(sub { $p->edge('source')->{playlist}{endlist} }, 15,
                 'end of the stream');

    for my $query ('', '_HLS_msn=9', '_HLS_msn=9999', '_HLS_msn=x',
                   '_HLS_part=1', '_HLS_skip=YES')
    {
        my $r = $t->get("$e->{path}?$query");

        is($r->{status}, 200, "an ended playlist ignores ?$query (HLS-58)");
        like($r->{body}, qr/#EXT-X-ENDLIST\n\z/, 'and says that it has ended');
    }
}


# Without low latency there is nothing to wait for.
sub test_plain {
    my $p = publisher('plain/a', 7000);
    my $e = $p->edge('source');
    my ($epoch) = $e->{body} =~ /seg-(\w+)-/;

    ok(!$e->{playlist}{part_target}, 'part 0: no low latency');

    for my $query ('_HLS_msn=9999', '_HLS_msn=x', '_HLS_part=1',
                   '_HLS_skip=YES')
    {
        is($t->get("$e->{path}?$query")->{body}, $e->{body},
           "part 0: ?$query is ignored (HLS-58)");
    }

    is_error($t->get("$e->{base}/seg-$epoch-$e->{msn}$_.m4s"), 404,
             "part 0: 'MSN$_' that is being made") for '.0', '.1';

    # FFmpeg's DASH demuxer asks for it without looking whether it is listed
    my $q = ask($t, "$e->{base}/seg-$epoch-$e->{msn}.m4s");

    settle($t);
    ok(is_held($q), 'part 0: the segment that is being made is held');
    is_error($t->get("$e->{base}/seg-$epoch-" . ($e->{msn} + 1) . '.m4s'),
             404, 'part 0: the one behind it');

    $p->upto(12000);

    my $r = answer($q);
    is($r->{status}, 200, 'and answered when it is complete');
    is($r->{headers}{'content-length'}, length $r->{body}, 'whole');

    $p->stop();
}


# A client that goes away frees its place at once (HTTP-72).
sub test_gone_client {
    my $p = publisher('live/gone', 5000);
    my $e = $p->edge('source');
    my ($epoch) = $e->{body} =~ /seg-(\w+)-/;

    my @asked = map { ask($t, $_) }
        "$e->{path}?_HLS_msn=" . ($e->{msn} + 1),
        "$e->{base}/seg-$epoch-" . ($e->{msn} + 1) . '.0.m4s';

    settle($t);
    ok(is_held($_), "$_->{path} is held") for @asked;
    close $_->{socket} for @asked;

    # the limit of the hold would be logged with another status
    is(logged("GET $_->{path}")->[0], 499, "$_->{path}: its client has gone")
        for @asked;

    is($p->edge('source')->{status}, 200, 'and nothing else is disturbed');
    $p->stop();
}


# --- several workers ----------------------------------------------------------

sub test_workers {
    $t = start(2, 'reuseport');

    my $p = publisher('live/two', 5000);
    my $e = parts($p, 1);
    my ($epoch) = $e->{body} =~ /seg-(\w+)-/;
    my %pids;

    # enough of them, for the kernel to give some to each worker
    my @asked = map { ask($t, $_ % 2
                          ? "$e->{path}?_HLS_msn=" . ($e->{msn} + 1)
                          : "$e->{base}/seg-$epoch-$e->{msn}.1.m4s") } 1 .. 40;

    $p->further(5000);

    for my $q (@asked) {
        my $r = answer($q);

        $pids{ $r->{headers}{'x-pid'} // 'nobody' }{ $r->{status} }++;
    }

    is_deeply([ sort keys %pids ], [ sort $t->workers() ],
              'each worker has answered');
    is_deeply([ map { sort keys %$_ } values %pids ], [ 200, 200 ],
              'what one publishes wakes the other');

    $p->stop();
}
