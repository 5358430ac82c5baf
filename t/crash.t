#!/usr/bin/env perl

# crash
#
# The worker that receives 20 streams is killed at named points of the code
# (core/ngx_live_crash.h): nothing that was published is lost, no lock stays
# held, encoders go on with the same timeline behind one discontinuity, and no
# memory of the zone leaks (invariants 1, 2, 3, 6 and 7).

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use IO::Socket::INET;
use List::Util qw/ first /;
use POSIX qw/ SIGSTOP /;
use Test::Live;
use Test::Live::Feed;
use Test::Live::M3U8;
use Test::Live::RTMP;
use Test::More;
use Time::HiRes qw/ time sleep /;

my $STREAMS = 20;

# how often the point is passed before, and what makes a worker come there
my @points = (
    # appending
    [ 'append', 60 ],
    [ 'reserve', 3 ],
    [ 'payload', 9 ],
    [ 'header', 9 ],
    [ 'sample', 33 ],
    [ 'samples', 9 ],
    [ 'part', 9 ],
    [ 'part-head', 9 ],

    # segments
    [ 'close', 9 ],
    [ 'segment', 9 ],
    [ 'segment-head', 9 ],
    [ 'period', 9 ],
    [ 'boundary', 5 ],
    [ 'open', 7 ],

    # playlists
    [ 'render', 30 ],
    [ 'text', 30 ],
    [ 'notify', 2, \&park ],

    # leaving
    [ 'retire', 7 ],
    [ 'retired', 7 ],
    [ 'punch', 5 ],
    [ 'punched', 5 ],
    [ 'trim', 3, \&reconnect ],

    # with the lock held
    [ 'find', 1, \&ask ],
    [ 'claim', 3, \&reconnect ],
    [ 'take', 3, \&reconnect ],
    [ 'claimed', 3, \&reconnect ],
    [ 'create', 1, \&begin ],
    [ 'link', 1, \&begin ],
    [ 'adopt', 4, \&kill_owner ],
    [ 'lost', 4, \&kill_owner ],

    # beginning, ending
    [ 'finish', 3, \&reconnect ],
    [ 'attach', 3, \&reconnect ],
    [ 'track', 2, \&begin ],
    [ 'free', 1, \&come_and_go ],
    [ 'free-ring', 2, \&come_and_go ],
    [ 'unlink', 1, \&come_and_go ],
    [ 'unlinked', 1, \&come_and_go ],

    # made on demand
    [ 'make-room', 1, \&ask_ts ],
    [ 'make-write', 1, \&ask_ts ],
);

# where the worker has the zone's lock
my %locked = map { $_ => 1 } qw/
    find claim take claimed create link adopt lost unlink unlinked make-room
/;

# TEST_POINTS="find link": these alone
@points = grep { $ENV{TEST_POINTS} =~ /\b$_->[0]\b/ } @points
    if $ENV{TEST_POINTS};

my $t = Test::Live->new(build => 'crash');

$t->write_file('crash', "\0" x 4096);
$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
env NGX_LIVE_CRASH=%%DIR%%/crash;
events { worker_connections 1024; }
thread_pool live threads=2;

live {
    zone 128m;
    thread_pool live;
    segment 500ms max=1s;
    part 250ms;
    window 3s;
    resume 5s;

    application live { }
    application short { window 1500ms; resume 100ms; }

    application ladder {
        rendition source copy;
        rendition low size=32x18 video=50k preset=ultrafast audio=32k;
        transcode always;
    }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%% reuseport; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        add_header X-Pid $pid always;
        location /live/ { live_play live; }
        location /short/ { live_play short; }
        location /ladder/ { live_play ladder; }
        location /streams { live_api live; }
    }
}
CONF

my $tags = Test::Live::RTMP::flv_tags(
    $t->clip(seconds => 4, size => '64x36', fps => 8, gop => 4, rate => 8000));

my @names = map { "s$_" } 1 .. $STREAMS;
my (%feeds, %listed, $owner, @sockets, @parked, @guests);
my $guest = 0;
my $calm = 0;
my $connected = 0;

$t->allow_log(qr/worker process \d+ exited on signal 9/);
$t->allow_log(qr/zone "ngx_live" was locked by/);
$t->run();

sysopen my $control, $t->dir() . '/crash', 2 or die "no control file: $!\n";
binmode $control;

# what the first publications have taken for good
warm_up();

my $before = idle();

($owner) = $t->workers();
publish_all('at first');
round(@$_) for @points;
transcoding(@$_) for [ 'stage-run', 9 ], [ 'stage-done', 9 ], [ 'follow', 9 ];
other_is_killed();
leaving();
stopped(@$_) for [ 'header', 9 ], [ 'close', 9 ];
end_all($before);

done_testing();


# --- the control file ---------------------------------------------------------

sub control {
    my ($offset, $bytes) = @_;

    sysseek $control, $offset, 0;
    syswrite $control, $bytes;
}


# Kills, or sends another signal.
sub arm {
    my ($point, $hits, $pid, $signal) = @_;

    control(36, pack 'l l l', 0, 0, $signal || 0);
    control(0, pack 'Z32 l', $point, $pid || 0);
    control(36, pack 'l', $hits);
}


sub control_values {
    my %v;

    sysseek $control, 0, 0;
    sysread $control, my $bytes, 80;
    @v{qw/ name pid hits died signal reports pages used streams /} =
        unpack 'Z32 l4 Q4', $bytes;

    return \%v;
}


# What is in use when the workers have looked after it.
sub report {
    my $old = control_values()->{reports};
    my $v;

    $t->wait_for(sub { ($v = control_values())->{reports} > $old + 2 }, 20,
                 'report');

    return $v;
}


sub blocks {
    for my $fd (glob '/proc/' . $t->master() . '/fd/*') {
        next unless (readlink($fd) // '') =~ /memfd:ngx_live/;
        return (stat $fd)[12] * 512;
    }

    die "no memfd\n";
}


# --- publishers ---------------------------------------------------------------

# A connection that the worker has accepted.
sub connect_to {
    my ($pid) = @_;

    # nginx closes those that say nothing
    @sockets = () if time() - $connected > 2;

    for (1 .. 40) {
        return shift @sockets if @sockets;

        $connected = time();

        my $mark = -s $t->dir() . '/error.log';
        my %new;

        for (1 .. 12) {
            my $socket = IO::Socket::INET->new(
                PeerAddr => '127.0.0.1:' . $t->port(1935), Timeout => 5)
                or return undef;

            $new{ $socket->sockport() } = $socket;
        }

        my %accepted;

        $t->poll(sub {
            open my $in, '<', $t->dir() . '/error.log' or return 0;
            seek $in, $mark, 0;
            %accepted = reverse map {
                /\] (\d+)#\d+: \*\d+ client \S+:(\d+) connected to/
                ? ("$1 $2" => $2) : ()
            } <$in>;

            return keys %accepted >= keys %new;
        }, 0.5);

        push @sockets, map { $new{$_} }
                       grep { ($accepted{$_} // '') =~ /^$pid / } keys %new;
    }

    return undef;
}


sub publish {
    my ($app, $name, $pid) = @_;

    my $socket = connect_to($pid) or return undef;
    my $client = eval {
        Test::Live::RTMP->start(socket => $socket, app => $app, name => $name,
                                timeout => 3)
    } or return undef;

    return Test::Live::Feed->new($client, $tags);
}


# Encoders that are cut off come back, all to the worker that is said to have
# them.
sub tend {
    for my $name (@names) {
        my $feed = $feeds{$name};

        if ($feed && !$feed->send_due()) {
            $feed->client()->close();
            delete $feeds{$name};
        }

        next if $feeds{$name} || time() < $calm;

        choose_owner();
        $feeds{$name} = publish('live', $name, $owner);
        $feeds{$name}->send_due() if $feeds{$name};
    }

    $_->send_due() for @guests;
}


sub choose_owner {
    my @workers = $t->workers();

    return if grep { $_ == ($owner || 0) } @workers;

    @sockets = ();
    ($owner) = reverse @workers;
}


# Until the sub is true; it is asked ten times a second.
sub feed_until {
    my ($seconds, $what, $until) = @_;

    my $end = time() + $seconds;
    my $look = 0;

    while (time() < $end) {
        tend();

        if (time() > $look) {
            my $result = $until->();

            return $result if $result;
            $look = time() + 0.1;
        }

        sleep 0.01;
    }

    diag("no $what in $seconds s");

    return 0;
}


sub publish_all {
    my ($when) = @_;

    ok(feed_until(20, 'streams', sub {
        !first { last_msn($_) < 4 } @names
    }), "$when: $STREAMS streams are published");
}


# --- players ------------------------------------------------------------------

sub playlist {
    my ($name, $rendition, $app) = @_;

    $app ||= 'live';

    # the first one is waited for, and nobody publishes meanwhile
    my $r = $t->get("/$app/$name/$rendition/playlist.m3u8",
                    timeout => $listed{$name} ? 15 : 0.3);
    my $p = Test::Live::M3U8->parse($r->{body});

    $listed{$name} = 1 if @{ $p->{segments} };
    $p->{status} = $r->{status};

    return $p;
}


sub last_msn {
    my ($name) = @_;

    my $p = playlist($name, 'source');

    return $p->{status} == 200 ? $p->last_msn() : 0;
}


# { NAME RENDITION => playlist } and { URL => sum } of some streams.
sub look {
    my (@of) = @_;

    my (%lists, %sums);

    for my $name (@of) {
        for my $rendition (qw/ source audio /) {
            my $p = playlist($name, $rendition);

            $lists{"$name/$rendition"} = $p;

            for my $url ((map { $_->{uri} } @{ $p->{segments} }),
                         $p->{segments}[-1]{map})
            {
                my $path = "/live/$name/$rendition/$url";
                my $r = $t->get($path);

                $sums{$path} = md5_hex($r->{body}) if $r->{status} == 200;
            }
        }
    }

    return (\%lists, \%sums);
}


sub wrong_bytes {
    my ($sums) = @_;

    my @wrong;

    for my $path (sort keys %$sums) {
        my $r = $t->get($path);

        push @wrong, "$path: $r->{status} $r->{error}"
            if $r->{status} != 200;
        push @wrong, "$path: other bytes"
            if $r->{status} == 200 && md5_hex($r->{body}) ne $sums->{$path};
    }

    return @wrong;
}


# --- a death ------------------------------------------------------------------

sub round {
    my ($point, $hits, $trigger) = @_;

    my @some = @names[ map { int rand @names } 1 .. 2 ];
    my %dsn = map { $_ => dsn($_) } @names;
    my ($lists, $sums) = look(@some);
    my $armed = $owner;
    my $pid = $trigger && $trigger != \&park && $trigger != \&ask ? 0 : $owner;

    arm($point, $hits, $pid);
    $trigger->() if $trigger;

    my $died = feed_until(15, "death at $point",
                          sub { control_values()->{died} });

    ok($died, "$point: a worker comes there") or return arm('', 0);

    my @wrong = wrong_bytes(still_kept($sums, $lists));

    is_deeply(\@wrong, [], "$point: what was published is there "
                           . '(invariant 7)');
    ok($t->wait_for(sub {
        my @now = $t->workers();
        return @now == 2 && !grep { $_ == $died } @now;
    }, 15, 'new worker'), "$point: the master starts another");

    is(scalar(() = $t->log(qr/zone "ngx_live" was locked by $died$/)), 1,
       "$point: nginx has taken the lock from it") if $locked{$point};

    goes_on($point, $lists, \%dsn, $trigger ? 2 : 1, $died == $armed);
    close $_ for @parked;
    @parked = ();
    $_->client()->close() for @guests;
    @guests = ();
    is_deeply([ wrong_bytes(still_kept($sums, $lists)) ], [],
              "$point: no URL has other bytes (invariant 3)");
}


sub dsn {
    my ($name) = @_;

    my $p = playlist($name, 'source');

    return @{ $p->{segments} } ? $p->{segments}[-1]{dsn} : 0;
}


# The URLs of segments that are listed still.
sub still_kept {
    my ($sums, $lists) = @_;

    my %kept;

    for my $key (keys %$lists) {
        my ($name, $rendition) = split m{/}, $key;
        my $p = playlist($name, $rendition);

        for (@{ $p->{segments} }) {
            my $path = "/live/$key/$_->{uri}";
            $kept{$path} = $sums->{$path} if $sums->{$path};
        }
    }

    return \%kept;
}


# All streams go on, by the rules, those of a worker that died behind a
# discontinuity.
sub goes_on {
    my ($point, $lists, $dsn, $most, $behind) = @_;

    my %old = %$lists;
    my %from = map { $_ => last_msn($_) } @names;
    my (@wrong, %is_on);

    ok(feed_until(20, 'new segments', sub {
        for my $key (sort keys %old) {
            my $p = playlist(split m{/}, $key);

            push @wrong, map { "$key: $_" } @{ $p->{errors} },
                         $p->changes_since($old{$key});
            $old{$key} = $p;
        }

        for my $name (grep { !$is_on{$_} } @names) {
            my $p = playlist($name, 'source');
            my $last = $p->{segments}[-1] or next;

            push @wrong, map { "$name: $_" } @{ $p->{errors} };
            $is_on{$name} = 1
                if $last->{msn} >= $from{$name} + 2
                   && (!$behind || $last->{dsn} > $dsn->{$name});
        }

        return @wrong || keys %is_on == @names;
    }), "$point: all $STREAMS streams go on");

    is_deeply(\@wrong, [], "$point: playlists keep the rules");

    # where connections are cut as well there may be one for each
    is_deeply([ grep { dsn($_) - $dsn->{$_} > $most } @names ], [],
              "$point: behind " . ($most == 1 ? 'one discontinuity' : 'few'));
    is($t->get('/streams')->{status}, 200, "$point: no lock is held");
}


# --- what makes a worker come to a point --------------------------------------

sub reconnect {
    for my $name (@names[0 .. 5]) {
        my $feed = delete $feeds{$name} or next;

        $feed->client()->close();
    }
}


# Requests of the other worker that wait for the next part.
sub park {
    for (1 .. 40) {
        my $p = playlist('s1', 'source');
        my $msn = $p->{sequence} + @{ $p->{segments} } + 1;
        my $socket = IO::Socket::INET->new(
            PeerAddr => '127.0.0.1:' . $t->port(8080)) or next;

        $socket->autoflush(1);
        print $socket "GET /live/s1/source/playlist.m3u8?_HLS_msn=$msn "
                      . "HTTP/1.1\r\nHost: h\r\n\r\n";
        push @parked, $socket;
    }
}


sub ask {
    for (1 .. 100) {
        $t->get('/live/s1/playlist.m3u8', timeout => 2);
        last if control_values()->{died};
    }
}


sub begin {
    push @guests, grep { $_ } publish('live', 'guest' . ++$guest, $owner);
    reconnect();
}


# Who comes back before the other worker has looked leaves it nothing to find.
sub kill_owner {
    kill 'KILL', $owner;
    $calm = time() + 2;
}


# A stream that is forgotten in a moment.
sub come_and_go {
    my $feed = publish('short', 'guest' . ++$guest, $owner) or return;

    push @guests, $feed;
    Test::Live::Feed::run(2, sub { tend(); 0 });
    @guests = ();
    $feed->client()->close();
}


sub ask_ts {
    my $r = $t->get('/live/s1/ts/playlist.m3u8');
    my $p = Test::Live::M3U8->parse($r->{body});

    for my $segment (reverse @{ $p->{segments} }) {
        $t->get("/live/s1/ts/$segment->{uri}", timeout => 2);
        last if control_values()->{died};
    }

    reconnect();
}


# --- in the transcoder --------------------------------------------------------

# In a thread, behind it, and where a rung is written.
sub transcoding {
    my ($point, $hits) = @_;

    my ($feed, $p, @wrong);
    my $low = sub {
        my $new = playlist('l', 'low', 'ladder');

        return 0 if $new->{status} != 200;

        push @wrong, @{ $new->{errors} }, $p ? $new->changes_since($p) : ();
        $p = $new;

        return @{ $p->{segments} } ? $p->last_msn() : 0;
    };

    my $publishes = sub {
        if (!$feed || !$feed->send_due()) {
            @guests = ();
            choose_owner();
            $feed = publish('ladder', 'l', $owner);
            @guests = ($feed) if $feed;
        }
    };

    ok(feed_until(30, 'a rung', sub { $publishes->(); $low->() >= 2 }),
       "$point: a stream is transcoded");
    arm($point, $hits, $owner);

    my $died = feed_until(15, "death at $point",
                          sub { control_values()->{died} });

    ok($died, "$point: its worker comes there");

    my $msn = $low->();

    ok($msn, "$point: the rung is there");
    ok(feed_until(30, 'segments', sub {
        $publishes->();
        return @wrong || ($low->() >= $msn + 3
                          && $p->{segments}[-1]{dsn} > 0);
    }), "$point: it goes on");
    is_deeply(\@wrong, [], "$point: by the rules");

    $feed->client()->close() if $feed;
    @guests = ();

    my %from = map { $_ => last_msn($_) } @names;

    ok(feed_until(20, 'segments', sub {
        !grep { last_msn($_) < $from{$_} + 2 } @names
    }), "$point: the other streams go on");
}


# --- other faults -------------------------------------------------------------

sub other_is_killed {
    my ($other) = grep { $_ != $owner } $t->workers();
    my %dsn = map { $_ => dsn($_) } @names;
    my %msn = map { $_ => last_msn($_) } @names;
    my ($lists, $sums) = look(@names[0 .. 1]);

    kill 'KILL', $other;

    ok(feed_until(10, 'a new worker', sub {
        my @now = $t->workers();
        return @now == 2 && !grep { $_ == $other } @now;
    }), 'a worker that only serves is killed: the master starts another');
    ok(feed_until(10, 'segments', sub {
        !grep { last_msn($_) < $msn{$_} + 2 } @names
    }), 'all streams go on');
    is_deeply([ map { dsn($_) } @names ], [ map { $dsn{$_} } @names ],
              'without a discontinuity');
    is_deeply([ wrong_bytes(still_kept($sums, $lists)) ], [],
              'what was published is there');
}


# Between the end of a publication and the playlist that says so: who waits for
# what comes next is not sent the one that promises it (HLS-53, HLS-59).
sub leaving {
    my $name = $names[0];
    my $stopped = $owner;

    ok(feed_until(10, 'hint', sub { playlist($name, 'source')->hint() }),
       'away: a playlist has a hint');

    arm('away', 1, $stopped, SIGSTOP);
    (delete $feeds{$name})->client()->close();
    ok($t->wait_for(sub { control_values()->{died} }, 15, 'stop'),
       'away: a worker is stopped there');

    my $p = playlist($name, 'source');
    my $msn = $p->{sequence} + @{ $p->{segments} };
    my $socket = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1:' . $t->port(8080)) or die "no connection: $!\n";

    $socket->autoflush(1);
    print $socket "GET /live/$name/source/playlist.m3u8?_HLS_msn=$msn "
                  . "HTTP/1.0\r\n\r\n";

    # the same worker, later
    is($t->get('/streams')->{status}, 200, 'away: the other one serves');

    my $bits = '';
    vec($bits, fileno $socket, 1) = 1;

    ok($p->hint(), 'away: the playlist has it still');
    is(select(my $ready = $bits, undef, undef, 0), 0,
       'away: who asks for more has to wait');

    kill 'CONT', $stopped;
    is(select($ready = $bits, undef, undef, 10), 1, 'away: until it goes on');

    my $answer = do { local $/; <$socket> };

    like($answer, qr{^HTTP/1\.1 200 }, 'away: and is answered');
    unlike($answer, qr/PRELOAD-HINT/, 'away: that nothing comes');

    my %from = map { $_ => last_msn($_) } @names;

    ok(feed_until(20, 'segments', sub {
        !grep { last_msn($_) < $from{$_} + 2 } @names
    }), 'away: streams go on');
}


# In the middle of writing, until another worker has its streams: it writes no
# more of them.
sub stopped {
    my ($point, $hits) = @_;

    my $stopped = $owner;
    my ($other) = grep { $_ != $owner } $t->workers();
    my ($lists, $sums) = look(@names[0 .. 1]);
    my %old = map { $_ => playlist($_, 'source') } @names;
    my @wrong;

    arm($point, $hits, $stopped, SIGSTOP);
    ok(feed_until(15, "stop at $point", sub { control_values()->{died} }),
       "$point: a worker is stopped there");
    is_deeply([ wrong_bytes(still_kept($sums, $lists)) ], [],
              "$point: the other one serves what was published");

    # publish_conflict is "stalled"
    $_->client()->close() for values %feeds;
    %feeds = ();
    @sockets = ();
    $owner = $other;

    ok(feed_until(30, 'take-over', sub { keys %feeds == @names }),
       "$point: the other one takes its encoders");

    my %from = map { $_ => last_msn($_) } @names;
    my $watch = sub {
        for my $name (@names) {
            my $p = playlist($name, 'source');

            push @wrong, map { "$name: $_" } @{ $p->{errors} },
                         $p->changes_since($old{$name});
            $old{$name} = $p;
        }
    };

    ok(feed_until(20, 'segments', sub {
        $watch->();
        return @wrong || !grep { last_msn($_) < $from{$_} + 2 } @names;
    }), "$point: streams go on");

    %from = map { $_ => last_msn($_) } @names;
    ($lists, $sums) = look(@names[0 .. 1]);
    kill 'CONT', $stopped;

    ok(feed_until(20, 'segments', sub {
        $watch->();
        return @wrong || !grep { last_msn($_) < $from{$_} + 3 } @names;
    }), "$point: and also when it goes on");
    is_deeply(\@wrong, [], "$point: by the rules");
    is_deeply([ wrong_bytes(still_kept($sums, $lists)) ], [],
              "$point: no URL has other bytes");
    is_deeply([ sort { $a <=> $b } $t->workers() ],
              [ sort { $a <=> $b } $other, $stopped ],
              "$point: no worker has died");
}


# --- memory -------------------------------------------------------------------

sub warm_up {
    ($owner) = $t->workers();
    publish_all('to begin with');
    begin();
    begin();
    begin();
    Test::Live::Feed::run(2, sub { tend(); 0 });
}


sub idle {
    $_->client()->close() for values %feeds, @guests;
    %feeds = ();
    @guests = ();
    @sockets = ();
    %listed = ();

    ok($t->wait_for(sub { $t->get('/streams')->{body} !~ /"name"/
                          && control_values()->{streams} == 0 }, 60,
                    'end of all streams'), 'all streams end');

    return report();
}


sub end_all {
    my ($before) = @_;

    my $now = idle();

    is(blocks(), 0, 'no media is left');
    is($now->{used}, 0, 'none is counted');
    cmp_ok($now->{pages}, '>=', $before->{pages},
           "the index has the pages that it had ($before->{pages})");
}
