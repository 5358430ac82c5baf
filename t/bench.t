#!/usr/bin/env perl

# The programs of the bench compile with the sources as they are, and that of
# the ladder makes of each frame one of each rung.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;
use Test::Live;

use constant {
    FPS     => 30,
    FRAMES  => 60,
};

my $t = Test::Live->new();
my $dir = $t->dir();
my $bench = "$dir/bench";
my %height = ('720p' => 720, '360p' => 360);

my ($code, $output) = $t->command({ env => { BUILD_DIR => $dir } },
    'bash', '-euc', <<'END', $t->root());
ROOT=$0
. "$ROOT/t/bench/lib.sh"
. "$ROOT/t/bench/ladder.sh"
make_programs
ladder_build
END

is($code, 0, 'the programs compile') or BAIL_OUT($output);
ok(-x "$bench/$_", $_) for qw/ rtmp_load hls_load burst ladder /;

my $picture = 'testsrc2=size=1920x1080:rate=' . FPS;

($code, $output) = $t->command(
    qw/ ffmpeg -nostdin -v error -f lavfi -i /, $picture,
    qw/ -frames:v /, FRAMES, qw/ -c:v libx264 -preset ultrafast -bf 0 -g /,
    FPS, "$dir/source.flv");
is($code, 0, 'a source') or BAIL_OUT($output);

my @rungs = sort keys %height;

($code, $output) = $t->command("$bench/ladder", '-t', 2, '-o', $dir,
                               "$dir/source.flv", @rungs);
is($code, 0, 'the ladder ends') or BAIL_OUT($output);

my ($line) = $output =~ /^(\{.*\})$/m;
my $report = JSON::PP->new->decode($line // '{}');

is($report->{frames}, FRAMES, 'all frames are decoded');
cmp_ok($report->{cpu}, '>', 0, 'CPU time is told');

for my $rung (@rungs) {
    is($report->{"${rung}_frames"}, FRAMES, "$rung: each is encoded once");

    ($code, $output) = $t->command(
        qw/ ffprobe -v error -count_frames -of csv=p=0 -show_entries /,
        'stream=height,nb_read_frames', "$dir/$rung.h264");
    is($output, "$height{$rung}," . FRAMES . "\n", "$rung: and decodes");
}

done_testing();
