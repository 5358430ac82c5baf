package Test::Live::CDN::Check;

# What has to hold through every cache; a Test::Live::CDN is the argument.
# Latencies are shown, not asserted: they are those of a busy machine.

use strict;
use warnings;

use Exporter qw/ import /;
use JSON::PP qw/ encode_json /;
use List::Util qw/ max /;
use Test::More;
use Time::HiRes qw/ time sleep /;

our @EXPORT = qw/ low_latency polling idle early_404 late_404 unavailable
                  progressive broken_off aged query away gone clock /;

# Caches count in whole seconds, and some keep a thing until the second after
# its last one is over.
use constant ROUND => 1;

# For a machine that does something else meanwhile, in seconds.
use constant SLACK => 4;


# --- many players -------------------------------------------------------------

# What players that block ask for costs the origin one request each, and all
# of them get what they asked for (HTTP-43, HTTP-52, HTTP-60, HLS-62).
sub low_latency {
    my ($cdn) = @_;

    my $name = $cdn->{name};
    my $players = 200;
    my $began = time();

    $cdn->reset();

    my $r = $cdn->players(mode => 'll', players => $players, seconds => 7,
                          noise => \1);
    my $elapsed = time() - $began;
    my $asked = $cdn->asked();

    is_deeply($r->{errors}, {}, "$name: $players players miss nothing, get "
                                . 'nothing older than they ask for');
    cmp_ok($r->{media} || 0, '>=', $players * 2 * 3, "$name: and much media");
    ok(!$cdn->{age} || $r->{ages}{with} > $players, "$name: with Age");

    my @parts = grep { /-\d+\.\d+\.m4s$/ } keys %$asked;
    my @blocking = grep { /_HLS_/ } keys %$asked;

    cmp_ok(@parts, '>=', 8, "$name: parts of both renditions were asked for");
    cmp_ok(@blocking, '>=', 8, "$name: and blocking reloads");
    once($cdn);
    a_second($cdn, $asked, $elapsed);
    figures($name, "$players players", $r);

    # the same with few, where the players themselves cost no time
    figures($name, '5 players', $cdn->players(mode => 'll', players => 5,
                                              seconds => 5));
}


sub figures {
    my ($name, $who, $r) = @_;

    for my $what (qw/ part playlist /) {
        my $l = $r->{$what} or next;

        diag(sprintf '%s, %s: %s after its publication p50 %d ms, p95 %d ms, '
                     . 'max %d ms', $name, $who, $what,
                     map { $_ // 0 } @$l{qw/ p50 p95 max /});
    }
}


# Never while the cache has it.
sub once {
    my ($cdn) = @_;

    my $when = $cdn->asked_when();
    my $lifetime = lifetime($cdn);
    my @again;

    for my $uri (grep { /\.m4s$|\.mp4$|_HLS_/ } sort keys %$when) {
        my @times = sort { $a <=> $b } @{ $when->{$uri} };

        for my $i (1 .. $#times) {
            push @again, "$uri after " . ($times[$i] - $times[$i - 1]) . ' s'
                if $uri !~ /_HLS_/ || $times[$i] - $times[$i - 1] < $lifetime;
        }
    }

    is_deeply(\@again, [], "$cdn->{name}: the origin was asked once for each");
}


# Of what answers a blocking reload, in seconds.
sub lifetime {
    my ($cdn) = @_;

    my $r = $cdn->truth($cdn->playlist() . '?_HLS_msn='
                        . ($cdn->newest() + 1));
    my ($seconds) = $r->{headers}{'cache-control'} =~ /max-age=(\d+)/;

    cmp_ok($seconds // 0, '>', 1, "blocking reloads may be kept (HTTP-3)");

    return $seconds || 0;
}


# Of max-age=1 one in a second.
sub a_second {
    my ($cdn, $asked, $elapsed) = @_;

    my @plain = grep { /\.m3u8$/ } keys %$asked;
    my $most = max(map { $asked->{$_} } @plain) // 0;

    ok(@plain == 3 && $most <= $elapsed + 1,
       "$cdn->{name}: and for playlists once a second")
        or diag(encode_json({ map { $_ => $asked->{$_} } @plain }));
}


# Players of old: a poll a second (HTTP-2, HTTP-20, HTTP-47).
sub polling {
    my ($cdn) = @_;

    my $name = $cdn->{name};
    my $began = time();

    $cdn->reset();

    my $r = $cdn->players(mode => 'plain', players => 200, seconds => 5,
                          noise => \1);
    my $elapsed = time() - $began;
    my $asked = $cdn->asked();

    is_deeply($r->{errors}, {}, "$name: 200 players that poll miss nothing");
    cmp_ok($r->{media} || 0, '>=', 400, "$name: and get media");
    once($cdn);
    a_second($cdn, $asked, $elapsed);
    cmp_ok($r->{stale}{max} // 1e9, '<=', 1000 * (1 + ROUND + SLACK),
           "$name: no playlist is older than its class (HTTP-56)");
    diag(sprintf '%s: a polled playlist is behind p50 %d ms, p95 %d ms, '
                 . 'max %d ms', $name, map { $_ // 0 }
                                       @{ $r->{stale} }{qw/ p50 p95 max /});
}


# --- age ----------------------------------------------------------------------

# The first to come after a while does not get what the last one got: no
# stale-while-revalidate beyond what the origin says (HTTP-56).
sub idle {
    my ($cdn) = @_;

    my $path = $cdn->playlist();
    my $old = $cdn->newest($cdn->get($path)->{body});

    ok($cdn->{t}->wait_for(sub { $cdn->newest() >= $old + 2 }, 30,
                           'two segments'), 'two segments later')
        or return;

    my $now = $cdn->newest();

    cmp_ok($cdn->newest($cdn->get($path)->{body}), '>=', $now,
           "$cdn->{name}: nobody gets a playlist from before (HTTP-47)");
}


# Age, or where a cache has none the time at which the origin made it
# (HTTP-21).
sub aged {
    my ($cdn) = @_;

    my $path = $cdn->segment($cdn->newest());
    my $first = $cdn->get($path);
    my $began = time();

    sleep 0.1 until time() > $began + 3;    # its age is what is looked at

    my $r = $cdn->get($path);

    is($r->{status}, 200, "$cdn->{name}: a segment of three seconds ago");

    if ($cdn->{age}) {
        my $age = $r->{headers}{age} // -1;

        ok($age >= 2 && $age <= time() - $began + ROUND + 2,
           "$cdn->{name}: with its Age, $age s");

    } else {
        is($r->{headers}{date}, $first->{headers}{date},
           "$cdn->{name}: with the Date that the origin gave it");
    }
}


# --- errors -------------------------------------------------------------------

# A segment to come is a 404 for a second (HTTP-13).
sub early_404 {
    my ($cdn) = @_;

    my $t = $cdn->{t};
    my $name = $cdn->{name};
    my $path = $cdn->segment($cdn->newest() + 3);
    my ($there, $here);
    my $began = time();

    $cdn->reset();

    my $r = $cdn->get($path);

    is($r->{status}, 404, "$name: a segment to come is a 404");
    is($r->{headers}{'cache-control'}, 'public, max-age=1',
       "$name: for a second (HTTP-13)");

    $t->wait_for(sub {
        $there //= time() if $cdn->truth($path)->{status} == 200;
        $here //= time() if $cdn->get($path)->{status} == 200;
        return $there && $here;
    }, 40, 'segment');

    ok($there && $here && $here - $there <= 1 + ROUND + SLACK,
       "$name: it is there soon after it is at the origin");
    cmp_ok($cdn->asked(404)->{$path} // 0, '<=', time() - $began + 1,
           "$name: which was asked once a second");
    ok($cdn->get($path)->{body} eq $cdn->truth($path)->{body},
       "$name: with the right bytes");
}


# One that is gone for good is a 404 for longer (HTTP-14).
sub late_404 {
    my ($cdn) = @_;

    my $t = $cdn->{t};
    my $name = $cdn->{name};
    my $path = $cdn->segment(1) =~ s{/source/}{/audio/}r;

    ok($t->wait_for(sub { $cdn->truth($path)->{status} == 404 }, 60,
                    'end of a segment'), 'a segment is gone') or return;

    $cdn->reset();

    my $r = $cdn->get($path);
    my $began = time();

    is($r->{status}, 404, "$name: which is a 404");
    is($r->{headers}{'cache-control'}, 'public, max-age=10',
       "$name: for ten seconds (HTTP-14)");

    sleep 0.1 until time() > $began + 3;    # longer than an early one

    is($cdn->get($path)->{status}, 404, "$name: after three as well");
    is($cdn->asked()->{$path}, 1, "$name: of which the origin hears once");
}


# The encoder stalls: a blocked request is given up, a 503 for all that wait,
# and forgotten when media comes again (HTTP-4, HLS-61).
sub unavailable {
    my ($cdn, $encoder) = @_;

    my $name = $cdn->{name};
    my $next = $cdn->newest() + 2;
    my $url = $cdn->playlist() . "?_HLS_msn=$next";

    $cdn->reset();
    kill 'STOP', -$encoder;

    my $r = $cdn->players(mode => 'same', players => 50, url => $url);

    kill 'CONT', -$encoder;

    is_deeply($r->{status}, { 503 => 50 }, "$name: no media, 503 for all")
        or diag(encode_json($r));
    is($r->{control}, 'public, max-age=1', "$name: for a second");
    is($cdn->asked(503)->{$url}, 1, "$name: from one request");

    comes($cdn, $url, $next, 'the 503');
}


# The encoder goes: those that wait get what there is, and that is not kept
# either, under a URL that is to mean something newer.
sub gone {
    my ($cdn, $encoder) = @_;

    my $t = $cdn->{t};
    my $name = $cdn->{name};
    my $next = $cdn->newest() + 2;
    my $url = $cdn->playlist() . "?_HLS_msn=$next";

    $cdn->reset();
    $t->end($encoder);

    my $r = $cdn->players(mode => 'same', players => 50, url => $url);

    is_deeply($r->{status}, { 200 => 50 }, "$name: no encoder, what there is")
        or diag(encode_json($r));
    is($cdn->asked()->{$url}, 1, "$name: from one request");

    $cdn->publish();
    comes($cdn, $url, $next, 'that');
}


# The playlist of a URL has its segment as soon as the origin's has.
sub comes {
    my ($cdn, $url, $msn, $what) = @_;

    my $there;

    my $here = $cdn->{t}->wait_for(sub {
        $there = time() if !$there && $cdn->newest() >= $msn;

        my $segments = $cdn->segments($cdn->get($url)->{body});

        return @$segments && $segments->[-1][0] >= $msn && time();
    }, 40, 'playlist with the segment');

    ok($here, "$cdn->{name}: media comes, and the playlist");
    ok($here && (!$there || $here - $there <= 1 + ROUND + SLACK),
       "$cdn->{name}: $what was not kept");
}


# What may not be kept is not waited for either.
sub clock {
    my ($cdn) = @_;

    my $name = $cdn->{name};
    my $url = "$cdn->{path}/time";

    $cdn->reset();

    my $r = $cdn->players(mode => 'same', players => 50, url => $url);

    is_deeply($r->{status}, { 200 => 50 }, "$name: the clock (HTTP-19)");
    is($r->{control}, 'no-store', "$name: is not to be kept");
    is($cdn->asked()->{$url}, 50, "$name: and everybody gets his own");
    cmp_ok($r->{last}{max} // 1e9, '<=', 10_000,
           "$name: without waiting for others");
}


# --- whole objects ------------------------------------------------------------

# LL-DASH: a segment that is being made is passed on, and what is kept is
# whole (HTTP-11, HTTP-45, DASH-59).
sub progressive {
    my ($cdn) = @_;

    my $name = $cdn->{name};
    my $path = $cdn->segment($cdn->newest() + 1);

    $cdn->reset();

    my $r = $cdn->players(mode => 'same', players => 50, url => $path);

    is_deeply($r->{status}, { 200 => 50 }, "$name: a segment in the making");
    is($cdn->asked()->{$path}, 1, "$name: from one request");
    is(scalar keys %{ $r->{bodies} }, 1, "$name: the same for all");

    my $kept = $cdn->get($path);
    my $right = $cdn->truth($path);

    ok(length $right->{body} && $kept->{body} eq $right->{body},
       "$name: what is kept is whole");
    is($r->{length}, length $right->{body}, "$name: as was what they got");
    is($cdn->asked()->{$path}, 1, "$name: and it is kept");
    diag(sprintf '%s: the first byte of a segment in the making after p50 %d '
                 . 'ms, p95 %d ms; its last after p50 %d ms, p95 %d ms', $name,
                 map { $_ // 0 } @{ $r->{first} }{qw/ p50 p95 /},
                                 @{ $r->{last} }{qw/ p50 p95 /});
}


# What breaks off is not kept (HTTP-79).
sub broken_off {
    my ($cdn) = @_;

    my $name = $cdn->{name};
    my $path = "/broken/$name" =~ s/ //gr;
    my $part = $cdn->get($path);

    ok($part->{status} != 200 || $part->{truncated},
       "$name: a response that breaks off is seen to");

    my $whole = $cdn->get($path);

    is(length $whole->{body}, 50005, "$name: the next request gets it all");
    ok(!$whole->{truncated}, "$name: to its end");

    my $asked = $cdn->asked()->{$path};

    is($cdn->get($path)->{body}, $whole->{body}, "$name: which is kept");
    is($cdn->asked()->{$path}, $asked, "$name: and not asked for again");
}


# --- keys ---------------------------------------------------------------------

# Tokens and metrics are no part of the key, directives are, in any order
# (HTTP-60).
sub query {
    my ($cdn) = @_;

    my $name = $cdn->{name};
    my $path = $cdn->playlist();
    my $msn = $cdn->newest() - 1;
    my $asked = "$path?_HLS_msn=$msn&_HLS_part=0";

    $cdn->reset();

    for my $query ("_HLS_msn=$msn&_HLS_part=0",
                   "_HLS_part=0&_HLS_msn=$msn",
                   "token=abc&_HLS_msn=$msn&_HLS_part=0",
                   "_HLS_msn=$msn&CMCD=bl%3D1000%2Csid%3D%22x%22&_HLS_part=0",
                   "x_HLS_msn=9&_HLS_msn=$msn&_HLS_part=0&y=_HLS_skip=YES")
    {
        is($cdn->get("$path?$query")->{status}, 200, "$name: $query");
    }

    is_deeply($cdn->asked(), { $asked => 1 }, "$name: are one to the origin");

    my $other = $msn - 1;

    $cdn->get("$path?_HLS_msn=$other&_HLS_part=0&token=abc");
    $cdn->get("$path?_HLS_msn=$msn&_HLS_part=0&_HLS_skip=YES&token=abc");

    is_deeply($cdn->asked(), {
        $asked                                  => 1,
        "$path?_HLS_msn=$other&_HLS_part=0"     => 1,
        "$asked&_HLS_skip=YES"                  => 1,
    }, "$name: others are others");
}


# --- the origin away ----------------------------------------------------------

# Media goes on, an old playlist is not served (HTTP-56).
sub away {
    my ($cdn) = @_;

    my $t = $cdn->{t};
    my $name = $cdn->{name};
    my $path = $cdn->segment($cdn->newest() - 1);
    my $body = $cdn->get($path)->{body};

    is($cdn->get($cdn->playlist())->{status}, 200, "$name: a playlist");
    ok($t->stop('TERM'), 'the origin ends');

    my $began = time();

    ok($t->wait_for(sub {
        $cdn->get($cdn->playlist())->{status} >= 500;
    }, 30, 'error'), "$name: no playlist from before");
    cmp_ok(time() - $began, '<=', 1 + ROUND + SLACK + 2, "$name: for long");

    my $r = $cdn->get($path);

    is($r->{status}, 200, "$name: its segments are still there");
    ok($r->{body} eq $body, "$name: unchanged");
}


1;
