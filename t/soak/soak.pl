#!/usr/bin/env perl

# t/soak/soak.pl [MINUTES]: breaks things at random for so long, and follows
# everything that players are given meanwhile.  "./build.sh soak" runs it.
#
# Publishers come and go, jump, stall, crash, and change what they send; workers
# are killed and paused, nginx is reloaded; players of each kind read on and
# complain.  In the end all streams end, and memory must be what it was.
#
# SOAK_SEED=N does the same things in the same order, though not at the same
# moments; SOAK_WITHOUT="kill reload" leaves out what %every names so, to find
# the cause of something.  TEST_ASAN=1 and TEST_LEAVE=1 are those of Test::Live.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use List::Util qw/ max sum0 /;
use POSIX ();
use Test::Live;
use Test::Live::Crawl::DASH;
use Test::Live::Crawl::HLS;
use Test::Live::Loop;
use Test::Live::RTMP;
use Test::Live::Soak::Player;
use Test::Live::Soak::Publisher;
use Test::More;
use Time::HiRes qw/ time sleep /;

$| = 1;

my $minutes = @ARGV ? shift : 30;
my $seed = $ENV{SOAK_SEED} || $$ ^ time();

die "soak: not a number of minutes: $minutes\n"
    unless $minutes =~ /^\d+(?:\.\d+)?$/ && $minutes > 0;

srand $seed;

# Mean seconds between two of a kind.
my %every = (reload => 40, kill => 35, pause => 50, crash => 30, comer => 20,
             crawl => 1, odd => 1.5);

delete @every{ split ' ', $ENV{SOAK_WITHOUT} || '' };

# Streams that are there all the time: kinds of players.
my %streams = ('/live/a' => ['block', 'poll'], '/live/b' => ['poll'],
               '/plain/c' => ['poll', 'ts'], '/ladder/d' => ['poll']);

# What an answer may suffer from, around the moment.
my $SLACK = 0.5;

my $t = Test::Live->new();
my $judge = bless { counts => {}, bad => [], known => {}, faults => {},
                    streams => {}, kills => [] }, 'Judge';
my ($loop, %publishers, %existed, $serial, $over);
my @clips = map { media(@$_) }
            [ size => '160x90', rate => 48000 ],
            [ size => '192x108', rate => 44100 ],
            [ size => '160x90', rate => 48000, bframes => 2 ];

configure(2);
$t->run();
$t->allow_log(qr/worker process \d+ exited on signal 9/);

note(sprintf 'seed %d, %g minutes, in %s', $seed, $minutes, $t->dir());

# the pool of streams does not shrink: what is in the index for one
my $before = index_pages();

one_stream();

my $unit = index_pages() - $before;
my %start = memory();

soak();
end_streams();
verdict();

done_testing();


sub configure {
    my ($workers) = @_;

    $t->write_file_expand('nginx.conf', <<"CONF");
%%TEST_GLOBALS%%
worker_processes $workers;
worker_shutdown_timeout 30s;
events { worker_connections 2048; }

thread_pool live threads=2;

live {
    zone 64m;
    thread_pool live;
    segment 1s max=4s;
    window 12s;
    resume 4s;
    publish_timeout 4s;

    application live { part 400ms; }
    application plain { part 0; }
    application ladder {
        part 0;
        rendition source copy;
        rendition tiny size=160x90 video=80k preset=ultrafast;
    }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%
    access_log off;

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
        location /plain/ { live_play plain; }
        location /ladder/ { live_play ladder; }
        location /streams/live { live_api live; }
        location /streams/plain { live_api plain; }
        location /streams/ladder { live_api ladder; }
    }
}
CONF
}


sub media {
    my (%option) = @_;

    my $clip = $t->clip(seconds => 12, fps => 15, gop => 15, %option);

    return [ grep { $_->{type} != 18 } @{ Test::Live::RTMP::flv_tags($clip) } ];
}


# Comes and goes.
sub one_stream {
    publish('/live/a');
    $t->wait_for(sub { $t->get('/live/a/source/playlist.m3u8')->{status}
                       == 200 }, 20, 'first stream');
    unpublish('/live/a');
    $t->wait_for(sub { blocks() == 0 && !streams_left() }, 60, 'end of it');
    Judge::read_log($judge);
    $judge->{streams} = {};
}


# --- the soak -----------------------------------------------------------------

sub soak {
    my $end = time() + 60 * $minutes;

    $loop = Test::Live::Loop->new(port => $t->port(8080));

    for my $base (sort keys %streams) {
        publish($base);
        play($base, $_) for @{ $streams{$base} };
    }

    again('reload', \&reload);
    again('kill', \&kill_worker);
    again('pause', \&pause_worker);
    again('crash', \&crash_publisher);
    again('comer', \&comer);
    again('odd', \&odd_request);
    $loop->after(5, \&crawl) if $every{crawl};
    progress($end);

    $loop->run(sub { !$t->nginx_is_up() }, $end - time());
    $over = 1;
    Judge::read_log($judge);
}


# Now and then, until it is over.
sub again {
    my ($what, $sub) = @_;

    my $mean = $every{$what} or return;

    $loop->after($mean * (0.3 + rand 1.4), sub {
        return if $over;

        $sub->();
        again($what, $sub);
    });
}


sub progress {
    my ($end) = @_;

    $loop->after(60, sub {
        note(sprintf '%d s left, %d segments, %d faults, %d violations',
                     max(0, $end - time()), $judge->{counts}{segments} || 0,
                     sum0(values %{ $judge->{faults} }), violations());
        progress($end);
    });
}


sub violations { return scalar @{ $judge->{bad} } }


sub publish {
    my ($base) = @_;

    my (undef, $app, $name) = split m{/}, $base;

    $existed{$base} = 1;

    return $publishers{$base} = Test::Live::Soak::Publisher::start(
        port => $t->port(1935), app => $app, name => $name,
        clips => \@clips, log => $t->dir() . '/publishers.log', calm => 12,
        seed => int rand 2 ** 31);
}


sub unpublish {
    my ($base, $signal) = @_;

    my $pid = delete $publishers{$base} or return;

    Judge::event($judge, $base, 'ends');
    kill $signal || 'KILL', $pid;
    waitpid $pid, 0;
}


END {
    my $code = $?;
    kill 'KILL', values %publishers if $t && $t->{owner} == $$;
    $? = $code;
}


sub play {
    my ($base, $kind) = @_;

    Test::Live::Soak::Player->new(loop => $loop, base => $base, kind => $kind,
                                  judge => $judge)->start();
}


# --- faults -------------------------------------------------------------------

sub fault { $judge->{faults}{$_[0]}++ }


# With other numbers of workers.
sub reload {
    fault('reload');
    configure(1 + int rand 3);

    my %old = map { $_ => 1 } $t->workers(1);

    kill 'HUP', $t->master();

    $loop->after(10, sub {
        $judge->bad('reload', 'no new worker in 10 s')
            unless grep { !$old{$_} } $t->workers();
    });
}


# Any, also one that shuts down.
sub kill_worker {
    my @workers = $t->workers(1) or return;

    fault('worker killed');
    push @{ $judge->{kills} }, [ time(), time() ];
    kill 'KILL', $workers[rand @workers];
    $judge->{kills}[-1][1] = time();
}


sub pause_worker {
    my @workers = $t->workers(1) or return;
    my $pid = $workers[rand @workers];
    my $kill = [ time(), time() + 8 ];

    fault('worker paused');
    push @{ $judge->{kills} }, $kill;
    kill 'STOP', $pid;

    $loop->after(0.5 + rand 2.5, sub {
        kill 'CONT', $pid;
        $kill->[1] = time() + 0.2;
    });
}


# It is there again after a while.
sub crash_publisher {
    my @there = grep { $publishers{$_} } sort keys %streams;
    my $base = $there[rand @there] // return;

    fault('publisher killed');
    unpublish($base);
    $loop->after(rand 9, sub { publish($base) unless $over });
}


# A stream that is seen for some time, under a new name.
sub comer {
    my $base = ('/live', '/plain', '/ladder')[rand 3] . '/comer' . ++$serial;

    $judge->count('streams that came and went');
    publish($base);
    play_for_a_while($base, 10 + rand 20);
}


sub play_for_a_while {
    my ($base, $seconds) = @_;

    my $player = Test::Live::Soak::Player->new(
        loop => $loop, base => $base, kind => 'poll', judge => $judge);

    $player->start();

    $loop->after($seconds, sub {
        unpublish($base, rand() < 0.5 ? 'KILL' : 'TERM');
        $loop->after(8, sub { $player->stop() });
    });
}


# --- players that see all -----------------------------------------------------

# One after the other, each a strict low-latency player and one of DASH.
sub crawl {
    return if $over;

    my @bases = grep { $publishers{$_} } sort keys %streams;
    my $base = $bases[rand @bases] // '/live/a';
    my $began = time();

    my $hls = Test::Live::Crawl::HLS->new(loop => $loop, base => $base);
    my $dash = Test::Live::Crawl::DASH->new(loop => $loop, base => $base);

    $_->start() for $hls, $dash;

    watch_crawl($base, $hls, $dash, $began, $began + 15 + rand 15);
}


# Until then, or the end of the stream.
sub watch_crawl {
    my ($base, $hls, $dash, $began, $until) = @_;

    if (time() > $until || ended($hls)) {
        judge_crawl($base, $hls, $dash, $began);
        $loop->after(3, \&crawl);
        return;
    }

    $loop->after(0.1, sub {
        watch_crawl($base, $hls, $dash, $began, $until);
    });
}


sub ended { return scalar grep { $_->{ended} } values %{ $_[0]{state} } }


# What was cut off by us is taken out; who was there says when nobody was.
sub judge_crawl {
    my ($base, $hls, $dash, $began) = @_;

    $_->{running} = 0 for $hls, $dash;

    my $clean = sub { [ grep { $_->{status} && !$_->{truncated}
                               || !$judge->excused($_) } @{ $_[0] } ] };

    for my $crawl ($hls, $dash) {
        $_->{answers} = $clean->($_->{answers}) for values %{ $crawl->{files} };
    }

    $_ = $clean->($_) for values %{ $hls->{playlists} }, $hls->{multivariant},
                          $dash->{mpds}, $dash->{times};

    # a stream that ended, or was not there, is another one when it is back
    return $judge->count('crawls not judged')
        if grep { $_->{status} != 200 } map { @$_ }
           values %{ $hls->{playlists} }, $hls->{multivariant}, $dash->{mpds};

    my %lives = map { ($_->{playlist}{map} // '') =~ /^init-([^-]+)-/
                      ? ($1 => 1) : () }
                map { @$_ } values %{ $hls->{playlists} };

    return $judge->count('crawls not judged') if keys %lives > 1;

    my $away = $judge->away($base, $began - 30);
    my $seen = $hls->check(away => $away);
    my $also = $dash->check(hls => $seen->{tracks}, away => $away);

    $judge->count('crawls judged');
    $judge->count('segments', $seen->{counts}{segments} || 0);
    $judge->count('parts', $seen->{counts}{parts} || 0);
    $judge->count('segments of DASH', $also->{counts}{segments} || 0);

    $judge->bad("crawl of $base", $_)
        for @{ $seen->{violations} }, @{ $also->{violations} };
}


# What others ask for.
sub odd_request {
    my @bases = sort keys %streams;
    my $base = $bases[rand @bases];
    my @paths = ("$base/thumbnail.jpg", "$base/thumbnail.jpg?w=80",
                 "$base/time", '/streams/live', '/streams/ladder',
                 "$base/source/playlist.m3u8?_HLS_msn=99999999",
                 "$base/source/seg-none-1.m4s", "$base/ts/playlist.m3u8",
                 "$base/manifest.mpd", "$base/../../etc/passwd");
    my $path = $paths[rand @paths];

    $loop->get($path, sub {
        my ($r) = @_;

        $judge->count('odd requests');
        $judge->bad($path, "$r->{status} $r->{error}")
            unless $judge->excused($r)
                   || $r->{status} =~ /^(?:200|400|404)$/ && !$r->{truncated}
                   || $r->{status} == 503 && $path =~ /thumb|ts/;
    }, headers => [ [], [ 'Accept-Encoding' => 'gzip' ],
                    [ Range => 'bytes=1-' ] ]->[rand 2]);
}


# --- the end ------------------------------------------------------------------

# Of the zone, of the master, and of the worker with the most private memory.
sub memory {
    my $master = $t->master();

    return (
        'media, bytes'        => blocks(),
        'index, pages'        => index_pages(),
        'master, kB'          => anonymous($master),
        'master, files'       => scalar(() = glob "/proc/$master/fd/*"),
        'largest worker, kB'  => max(map { anonymous($_) } $t->workers()),
    );
}


sub blocks {
    for my $fd (glob '/proc/' . $t->master() . '/fd/*') {
        next unless (readlink($fd) // '') =~ /memfd:ngx_live/;
        return (stat $fd)[12] * 512;
    }

    die "no memfd\n";
}


# Pages that are taken of the slab pool, an eighth of the zone: what its header
# says to be free, taken from the number of those that there are.
sub index_pages {
    my $master = $t->master();

    open my $maps, '<', "/proc/$master/maps" or die "no maps: $!\n";

    for (<$maps>) {
        my ($low, $high) = /^(\w+)-(\w+) rw-s .*zero/ or next;

        no warnings 'portable';
        ($low, $high) = (hex $low, hex $high);
        next if $high - $low != 8 * 1024 * 1024;

        open my $memory, '<:raw', "/proc/$master/mem" or die "no mem: $!\n";
        sysseek $memory, $low, 0;
        sysread $memory, my $header, 88;

        # ngx_slab_pool_t: min_shift is the fourth word, pfree the eleventh
        my @words = unpack 'Q<11', $header;

        return ($high - $low) / 4096 - $words[10] if $words[3] == 3;
    }

    die "no index\n";
}


sub anonymous {
    my ($pid) = @_;

    return Test::Live::slurp_proc($pid, 'status') =~ /^RssAnon:\s+(\d+)/m
           ? $1 : 0;
}


sub end_streams {
    unpublish($_) for keys %publishers;
    $loop->drop();

    # workers that were stopped go on
    kill 'CONT', $t->workers(1);

    my $gone = $t->poll(sub { blocks() == 0 && !streams_left() }, 60);

    ok($gone, 'all streams end')
        or diag('left: ' . join ', ', streams_left(), media_left());
}


# What of the media is in memory: the number of its range of 2^40 bytes, where
# in that, and how much.
sub media_left {
    my ($file) = grep { (readlink($_) // '') =~ /memfd:ngx_live/ }
                 glob '/proc/' . $t->master() . '/fd/*';
    my ($at, @left) = 0;

    open my $in, '<:raw', $file or die "no memfd: $!\n";

    # SEEK_DATA, SEEK_HOLE
    while (my $from = sysseek $in, $at, 3) {
        $at = sysseek $in, $from += 0, 4;
        push @left, sprintf 'range %d: %d+%d', $from / 2 ** 40,
                            $from % 2 ** 40, $at - $from;
    }

    return @left;
}


sub streams_left {
    return join ' ', map { $t->get("/streams/$_")->{body} =~ /"name":"([^"]+)"/g }
                     qw/ live plain ladder /;
}


sub verdict {
    # as at the start, and of no old worker
    configure(2);
    $t->reload();
    $t->poll(sub { $t->workers(1) == $t->workers() }, 40);

    my %end = memory();
    my %most = ('media, bytes' => 0, 'master, kB' => 4096,
                'master, files' => 0, 'largest worker, kB' => 65536);

    note('counts');
    note(sprintf '%10d  %s', $judge->{counts}{$_}, $_)
        for sort keys %{ $judge->{counts} };
    note('faults');
    note(sprintf '%10d  %s', $judge->{faults}{$_}, $_)
        for sort keys %{ $judge->{faults} };
    note('memory, at start and end');
    note(sprintf '%10d %10d  %s', $start{$_}, $end{$_}, $_)
        for sort keys %start;
    note(sprintf 'seed %d', $seed);

    cmp_ok($end{$_}, '<=', $start{$_} + $most{$_}, "$_: as at the start")
        for sort keys %most;

    my $pages = $end{'index, pages'} - $start{'index, pages'};

    cmp_ok($unit, '>', 0, "a stream takes $unit pages of the index");
    is($pages % $unit, 0, 'what is not free of the index is whole streams');
    cmp_ok($pages / $unit, '<=', scalar keys %existed,
           'as many as there have been');

    cmp_ok($judge->{counts}{segments} || 0, '>=', 20 * $minutes,
           'segments were checked');
    cmp_ok(sum0(values %{ $judge->{faults} }), '>=', $minutes,
           'faults were injected');
    is(violations(), 0, 'violations')
        or diag(map { "$_\n" } @{ $judge->{bad} }[0 .. Test::Live::min(
                                   199, $#{ $judge->{bad} })]);
}


package Judge;

use Time::HiRes qw/ time /;


sub count { $_[0]{counts}{$_[1]} += $_[2] // 1 }


# Each once; when it was, so that it can be found in the logs.
sub bad {
    my ($self, $where, $text) = @_;

    my @now = localtime;

    return if $self->{known}{"$where $text"}++;

    push @{ $self->{bad} }, sprintf '%02d:%02d:%02d %s: %s', @now[2, 1, 0],
                                    $where, $text;
    Test::More::note("VIOLATION $self->{bad}[-1]");
}


# It was cut off, or not answered, while a worker was killed or did not run.
sub excused {
    my ($self, $r) = @_;

    return scalar grep { $_->[0] - $SLACK < $r->{done}
                         && $_->[1] + $SLACK > $r->{started} }
                  @{ $self->{kills} };
}


# --- what publishers did ------------------------------------------------------

sub event {
    my ($self, $base, $what, $when) = @_;

    my $stream = $self->{streams}{$base} ||= { log => [] };

    $when //= time();
    push @{ $stream->{log} }, [ $when, $what ];

    if ($what =~ /^(?:begins|ends|lost)$/) {
        $stream->{there} = $what eq 'begins';

    } elsif ($what =~ /^(?:ACCEPTED|error)/) {
        $self->bad($base, $what) if $what =~ /^ACC/;
        $self->count("publisher: $what") if $what =~ /^err/;
        return;

    } else {
        $self->{faults}{"publisher: $what"}++;
    }

    $stream->{quiet} = $when + ($what =~ /^(?:stall|burst)$/ ? 4
                                : $what eq 'silent' ? 8 : 0);
}


sub read_log {
    my ($self) = @_;

    my $in = $self->{in};

    unless ($in) {
        open $in, '<', $t->dir() . '/publishers.log' or return;
        $self->{in} = $in;
    }

    sysread $in, $self->{text}, 65536, length($self->{text} //= '');

    while ($self->{text} =~ s/\A(\S+) (\S+) (.*)\n//) {
        event($self, "/$2", $3, $1);
    }
}


# It has had a publisher for so long, with nothing that happened.
sub steady {
    my ($self, $base, $seconds) = @_;

    read_log($self);

    my $stream = $self->{streams}{$base};

    return 0 unless $stream && $stream->{there};

    my $since = $stream->{quiet};

    for my $kill (@{ $self->{kills} }) {
        $since = $kill->[1] if $kill->[1] > $since;
    }

    return time() - $since > $seconds;
}


# Its publisher has held back, or lost, media since then.
sub halted {
    my ($self, $base, $from) = @_;

    read_log($self);

    return scalar grep { $_->[0] > $from && $_->[1] =~ /^(?:stall|burst|silent)$/ }
                  @{ ($self->{streams}{$base} || {})->{log} || [] };
}


# Times without a publisher, or when it or a worker was held up; a little more,
# as the server needs its first part.
sub away {
    my ($self, $base, $from) = @_;

    read_log($self);

    my (@away, $gone);

    for my $entry (@{ ($self->{streams}{$base} || {})->{log} || [] }) {
        my ($when, $what) = @$entry;

        if ($what eq 'begins') {
            push @away, [ ($gone // $from) - 0.3, $when + 2 ];
            $gone = undef;

        } elsif ($what =~ /^(?:ends|lost|stop|close|reset)$/) {

            # it says what it does before it does it
            $gone //= $when;

        } elsif ($what =~ /^(?:stall|burst|silent)$/) {
            push @away, [ $when - 0.3, $when + 8 ];
        }
    }

    push @away, [ $gone - 0.3, 9e9 ] if defined $gone;
    push @away, map { [ $_->[0] - 0.3, $_->[1] + 4 ] } @{ $self->{kills} };

    return [ grep { $_->[1] > $from } @away ];
}
