#!/usr/bin/env perl

# asan
#
# "state_path": behind a restart, a crash of all of nginx or a stop of the
# machine, a stream goes on with its numbers, under other names (invariant 3),
# so that a player whose playlist stayed open goes on as well (HLS-11, HLS-13).

use strict;
use warnings;

use POSIX ();
use Test::Live;
use Test::Live::M3U8;
use Test::Live::MPD;
use Test::More;

my $t = Test::Live->new();

my $conf = <<'CONF';
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 32m;
    STATE
    segment 1s max=2s;
    window 30s;
    resume 5s;

    application live { }
    application other { }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
        location /other/ { live_play other; }
    }
}
CONF

$t->write_file_expand('nginx.conf',
                      $conf =~ s{STATE}{state_path %%DIR%%/state/;}r);
$t->write_file_expand('without.conf', $conf =~ s{STATE}{}r);

my $file = $t->dir() . '/state/live.state';
my (%names, $player, $publisher);

test_begins();

for my $how (qw/ restart crash /) {
    test_goes_on($how);
}

test_reload();
test_ended();
test_torn();
test_without();
test_refused();

done_testing();


# --- helpers ------------------------------------------------------------------

sub begin {
    my ($least) = @_;

    $publisher = $t->ffmpeg_publish('live/a', loop => -1,
                                    clip => { gop => 25, seconds => 4 });

    ok($t->wait_for(sub {
        my $p = playlist();
        return $p && !$p->{endlist} && @{ $p->{segments} } >= $least;
    }, 20, 'segments'), 'a stream is there');

    return playlist();
}


sub playlist {
    my $r = $t->get('/live/a/source/playlist.m3u8', timeout => 10);

    return $r->{status} == 200 ? Test::Live::M3U8->parse($r->{body}) : undef;
}


sub crash {
    my @pids = ($t->master(), $t->workers(1));

    kill 'KILL', @pids;
    $t->stop();

    return $t->wait_for(sub { !grep { kill 0, $_ } @pids }, 10, 'the end');
}


# --- tests --------------------------------------------------------------------

sub test_begins {
    $t->run();

    my $p = begin(3);

    is($p->{segments}[0]{msn}, 1, 'the first segment of all is 1');
    is((stat $file)[7], 128 + (16384 + 32) * 128, 'the file is as large as ever');
    is((stat _)[2] & 07777, 0600, 'nobody else reads it');

    $player = $p;
}


# What a player had, and what it sees then.
sub test_goes_on {
    my ($how) = @_;

    my $before = playlist();

    $names{ $_->{uri} } = 1 for @{ $before->{segments} };

    if ($how eq 'crash') {
        ok(crash(), "$how: all processes end");

    } else {
        ok($t->stop('TERM'), "$how: nginx ends");
    }

    $t->end($publisher);
    $t->run();

    my $p = begin(2);
    my ($first) = @{ $p->{segments} };
    my $last = $before->last_msn();

    # it had begun one more, and perhaps another
    cmp_ok($first->{msn}, '>', $last, "$how: numbers go on");
    cmp_ok($first->{msn}, '<=', $last + 3, "$how: none is left out");
    is_deeply([ $p->changes_since($before) ], [],
              "$how: the playlist is a later one of before");
    is_deeply($p->{errors}, [], "$how: by the rules");
    cmp_ok($first->{dsn}, '>', $before->{segments}[-1]{dsn},
           "$how: behind a discontinuity");
    cmp_ok($first->{pdt}, '>', $before->{segments}[-1]{pdt}, "$how: later");

    is_deeply([ grep { $names{ $_->{uri} } } @{ $p->{segments} } ], [],
              "$how: names are other ones");
    is_deeply([ grep { $_ != 404 }
                map { $t->get("/live/a/source/$_")->{status} } keys %names ],
              [], "$how: nothing is answered under one of before");

    # a request that waited for the next part asks again
    my $next = $p->last_msn() + 1;

    is($t->get("/live/a/source/playlist.m3u8?_HLS_msn=$next",
               timeout => 10)->{status}, 200, "$how: blocking goes on");

    my $mpd = Test::Live::MPD->parse($t->get('/live/a/manifest.mpd')->{body});

    is_deeply($mpd->{errors} // [], [], "$how: a manifest by the rules");
}


sub test_reload {
    my $before = playlist()->last_msn();

    ok($t->reload(), 'a reload opens the file again');
    ok($t->wait_for(sub { playlist()->last_msn() > $before + 1 }, 20,
                    'two segments'), 'the stream goes on');
}


# Behind its end a stream is another one, with the numbers of before.
sub test_ended {
    my $before = playlist();

    $t->end($publisher);
    ok($t->wait_for(sub { (playlist() // return 0)->{endlist} }, 20, 'end'),
       'the stream ends');

    $before = playlist();

    my $p = begin(1);

    cmp_ok($p->{segments}[0]{msn}, '>', $before->last_msn(),
           'the next one of that name has later numbers');
    cmp_ok($p->{segments}[0]{msn}, '<=', $before->last_msn() + 2,
           'and the next ones');

    is($t->get('/other/a/source/playlist.m3u8')->{status}, 404,
       'another application has nothing of it');
}


# The machine fails in the middle of a write: the copy before it counts.
sub test_torn {
    my $before = playlist()->last_msn();

    crash();
    $t->end($publisher);

    open my $fh, '+<:raw', $file or die "cannot open $file: $!\n";
    my $bytes = do { local $/; <$fh> };

    my ($at) = grep { substr($bytes, $_, 16) =~ /[^\0]/ }
               map { 128 + 128 * $_ } 0 .. 16384 + 31;

    # of two copies the one that was written last
    my @count = map { unpack 'Q<', substr $bytes, $at + 16 + 48 * $_, 8 } 0, 1;
    my $newer = $count[0] > $count[1] ? 0 : 1;

    seek $fh, $at + 16 + 48 * $newer + 20, 0;
    print $fh "\xff";
    close $fh;

    is(abs($count[0] - $count[1]), 1, 'two copies are written in turn');

    $t->run();

    my $first = begin(1)->{segments}[0]{msn};

    cmp_ok($first, '>=', $before, 'a torn copy: the one before it counts');
    cmp_ok($first, '<=', $before + 2, 'and no number is left out');
    $t->end($publisher);
    ok($t->stop('TERM'), 'nginx ends');
}


sub test_without {
    $t->run('without.conf');
    is(begin(1)->{segments}[0]{msn}, 1, 'without it numbers begin with 1');
    $t->end($publisher);
    ok($t->stop('TERM'), 'nginx ends');
}


sub test_refused {
    my $dir = $t->dir();

    refused('of another kind', "$dir/foreign", qr/is not a file of this module/,
            sub {
                mkdir "$dir/foreign";
                $t->write_file('foreign/live.state', 'precious ' x 100);
            });
    is($t->read_file('foreign/live.state'), 'precious ' x 100,
       'it is left alone');

    refused('without a parent', "$dir/none/none", qr/mkdir\(\) .* failed/);
    refused('in a file', "$dir/nginx.conf", qr/open\(\) .* failed/);

    mkdir "$dir/full";
    is(system('mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', "$dir/full"),
       0, 'a small disk');
    refused('on a full disk', "$dir/full", qr/cannot be written, it needs 2 MB/);
    is(-s "$dir/full/live.state", 0, 'nothing is left of it');
    is(system('umount', "$dir/full"), 0, 'it is taken away');
}


sub refused {
    my ($what, $path, $message, $prepare) = @_;

    $prepare->() if $prepare;

    my ($code, $output) = $t->nginx_t($conf =~ s{STATE}{state_path $path;}r);

    isnt($code, 0, "$what: refused");
    like($output, qr/\[emerg\].*"state_path": .*$message/, "$what: with a reason");
}
