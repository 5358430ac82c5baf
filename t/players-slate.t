#!/usr/bin/env perl

# Players in Chromium, while a publisher goes and comes back: they play the
# slate and notice no more than that (invariant 10).
#
# alone

use strict;
use warnings;

use Test::More;
use Test::Live;
use Test::Live::Browser;

use constant {
    BEFORE => 6,        # seconds that are played before the publisher goes ...
    AWAY   => 8,        # ... while it is away ...
    AFTER  => 8,        # ... and when it is back
};

my $t = Test::Live->new();
my ($code, $output) = $t->command(
    qw/ ffmpeg -nostdin -y -loglevel error -f lavfi -i color=c=red:size=64x64
        -frames:v 1 /, $t->dir() . '/red.png');

is("$code$output", '0', 'a picture');

my $conf = Test::Live::Browser::conf(<<'LIVE', 'live');
    zone 128m;

    application live {
        segment 2s max=3s;
        window 30s;
        resume 60s;
        slate red.png;
    }
LIVE

$t->write_file_expand('nginx.conf', $conf);
$t->run();

my $base = 'http://127.0.0.1:' . $t->port(8080);
my $clip = { seconds => 20, gop => 60, fps => 30 };
my $publisher = publish();

ok($t->wait_for(sub { segments() >= 4 }, 30, 'fourth segment'),
   'a stream is there');

my $browser = Test::Live::Browser->new($t,
    "$base/browser/player.html?url=/live/show/playlist.m3u8", "$base/#show",
    "$base/dash.html#show");

ok($t->wait_for(sub {
       return $browser->reports() && report(0)->{started}
              && report(1)->{state} eq 'playing' && report(2)->{totalFrames};
   }, 60, 'playing browser'), 'hls.js and the example pages play');

my @begin = map { report($_) } 0 .. 2;

played(BEFORE);
$t->end($publisher);
ok($t->wait_for(sub {
       return $t->get('/streams')->{body} =~ /"slate":\s?true/;
   }, 15, 'slate'), 'the publisher is gone, and its slate there');

played(BEFORE + AWAY);
$publisher = publish();
played(BEFORE + AWAY + AFTER);

my @end = map { report($_) } 0 .. 2;

my %loaded = map { $_ => 1 } @{ $end[0]{discontinuities} };

cmp_ok(scalar keys %loaded, '>=', 3, 'hls.js has loaded all three of them');
is($end[0]{attached}, 1, 'in the same player, attached once');

# stalls are counted below
is_deeply([ grep { !/ bufferStalledError\b/ } @{ $end[0]{errors} } ], [],
          'hls.js: no error of any kind');
is_deeply([ grep { $_->{details} ne 'bufferStalledError' }
            @{ $end[1]{errors} } ], [], 'the example page: no error');
is_deeply($end[2]{errors}, [], 'the DASH page: no error');
is($end[1]{restarts}, 0, 'the example page: no new start');

# a change of codec records may cost a moment, twice
cmp_ok($end[$_]{stalls} - $begin[$_]{stalls}, '<=', 2, "page $_: hardly a stall")
    for 0 .. 2;

is_deeply($browser->crashes(), [], 'no page has an uncaught error');
is_deeply($browser->refused(), [], 'no request is refused');

$browser->end();
$t->end($publisher);

done_testing();


sub publish {
    return $t->ffmpeg_publish('live/show', clip => $clip, loop => -1);
}


sub segments {
    my $text = $t->get('/live/show/source/playlist.m3u8')->{body};

    return scalar(() = $text =~ /^#EXTINF:/mg);
}


sub report { return $browser->report($_[0]) }


# All of them have played for so many seconds since the begin.
sub played {
    my ($seconds) = @_;

    ok($t->wait_for(sub {
        $browser->reports();

        return !grep {
            report($_)->{currentTime} - $begin[$_]{currentTime} < $seconds
        } 0 .. 2;
    }, $seconds + 30, "$seconds s of all players"), "$seconds s are played");
}
