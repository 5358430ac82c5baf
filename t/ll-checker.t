#!/usr/bin/env perl

# Low-latency HLS and DASH as strict players see them: nothing that they are
# told or given is against the rules, at usual frame rates and parts, and when
# the publisher's clock jumps, the publisher comes back, its pictures and sound
# change, and it ends (HLS-7 to HLS-21, HLS-29, HLS-46 to HLS-69, HLS-94,
# DASH-2 to DASH-67).

# alone

use strict;
use warnings;

use POSIX ();
use Test::Live;
use Test::Live::Crawl::DASH;
use Test::Live::Crawl::HLS;
use Test::Live::Loop;
use Test::Live::RTMP;
use Test::More;
use Time::HiRes qw/ time sleep /;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

thread_pool live threads=2;

live {
    zone 256m;
    thread_pool live;
    segment 2s max=3s;
    window 12s;
    resume 4s;

    application half { part 500ms; }
    application fifth { part 200ms; }
    application long { part 400ms; segment 1s max=2s; window 30s; }
    application slide { part 300ms; segment 1s max=2s; window 7s; }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /half/ { live_play half; }
        location /fifth/ { live_play fifth; }
        location /long/ { live_play long; }
        location /slide/ { live_play slide; }
    }
}
CONF

# frames a second; frames from one key frame to the next; reordered frames;
# sound
my %rates = (
    '24' => [ 48, 0, 48000 ], '25' => [ 50, 2, 44100 ],
    '30000/1001' => [ 60, 2, 48000 ], '30' => [ 60, 0, 44100 ],
    '50' => [ 100, 0, 48000 ], '60000/1001' => [ 120, 2, 48000 ],
    '60' => [ 90, 1, 48000 ],
);

# How long the clips of rates are published, and those of events.
my ($SECONDS, $EVENT) = (11, 7);

# What a stream may take after its publisher, to end for good.
my $END = 12;

my %clips = map { $_ => rate_clip($_) } keys %rates;
my $small = tags(seconds => $EVENT);
my $steady = $t->clip(seconds => 18, gop => 30, bframes => 2);
my $large = tags(seconds => $EVENT, size => '640x360', rate => 44100);

$t->run();

test_rates('half', 'fifth');
test_rates('fifth', 'half');
test_events();
test_readers();

done_testing();


sub rate_clip {
    my ($fps) = @_;

    my ($gop, $bframes, $rate) = @{ $rates{$fps} };

    return $t->clip(seconds => $SECONDS, fps => $fps, gop => $gop,
                    bframes => $bframes, rate => $rate);
}


sub tags {
    return [ grep { $_->{type} != 18 }
             @{ Test::Live::RTMP::flv_tags($t->clip(@_)) } ];
}


# --- publishing ---------------------------------------------------------------

# Publications after each other, in real time, by another process: its pid.
# Each is { tags => [ { at, tag }, ... ], wait } with the seconds before it; when
# one begins and ends is written to a file.
sub feed {
    my ($name, @publications) = @_;

    my $pid = fork() // die "cannot fork: $!\n";

    return $pid if $pid;

    my $good = eval {
        for my $publication (@publications) {
            sleep $publication->{wait};
            feed_one($name, $publication->{tags});
        }

        1;
    };

    print STDERR "feeding $name: $@" unless $good;
    POSIX::_exit($good ? 0 : 1);
}


sub feed_one {
    my ($name, $tags) = @_;

    my $client = Test::Live::RTMP->start(port => $t->port(1935), app => 'half',
                                         name => $name);
    my $start = time();

    note_time($name, 'begins');

    for my $entry (@$tags) {
        my $left = $start + $entry->{at} / 1000 - time();

        sleep $left if $left > 0.005;
        $client->send_tags([ $entry->{tag} ])
            or die $client->error() . "\n";
    }

    note_time($name, 'ends');
    $client->stop($name);
}


sub note_time {
    my ($name, $what) = @_;

    open my $out, '>>', $t->dir() . "/$name.times" or die "no file: $!\n";
    print $out "$what ", time(), "\n";
    close $out;
}


# When there was no publisher, from a little before to a little after: the
# server needs its first part.
sub away_times {
    my ($name) = @_;

    my @away;

    for (split /\n/, $t->read_file("$name.times") // '') {
        my ($what, $time) = split / /;

        push @away, [ $time - 0.3, 9e9 ] if $what eq 'ends';
        $away[-1][1] = $time + 1.5 if $what eq 'begins' && @away;
    }

    return \@away;
}


# Tags at the time that they have in their clip, with other timestamps.
sub timed {
    my ($at, $offset, $tags) = @_;

    return map { +{ at => $at + $_->{timestamp},
                    tag => { %$_, timestamp => $_->{timestamp} + $offset } } }
           @$tags;
}


# --- what players see ---------------------------------------------------------

# Follows streams until all have ended; stream => { base, running }, a sub that
# tells whether there is a publisher.
sub crawl {
    my ($seconds, %streams) = @_;

    my $loop = Test::Live::Loop->new(port => $t->port(8080));
    my %crawls;

    for my $name (sort keys %streams) {
        my %option = (loop => $loop, base => $streams{$name}{base});

        $crawls{$name} = {
            hls => Test::Live::Crawl::HLS->new(%option),
            dash => Test::Live::Crawl::DASH->new(%option),
        };

        $_->start() for values %{ $crawls{$name} };
    }

    my $ended = $loop->run(sub {
        for my $name (keys %streams) {
            $streams{$name}{gone} //= time() - 0.5
                unless $streams{$name}{running}->();
        }

        return !grep { !$_->ended() } map { values %$_ } values %crawls;
    }, $seconds);

    ok($ended, 'all playlists and manifests have ended in time')
        or diag(map { my $name = $_; map { $crawls{$name}{$_}->ended() ? ()
                                           : "$name: $_ has not\n" }
                                     qw/ hls dash / } sort keys %crawls);

    $_->stop() for map { values %$_ } values %crawls;

    return %crawls;
}


sub verdict {
    my ($what, $crawls, $away, %least) = @_;

    my $hls = $crawls->{hls}->check(away => $away);
    my $dash = $crawls->{dash}->check(hls => $hls->{tracks}, away => $away);

    (my $dir = $t->dir() . "/dump/$what") =~ s/[^\w\/.-]/-/g;
    $crawls->{$_}->dump($dir) for qw/ hls dash /;

    is_deeply($hls->{violations}, [], "$what: HLS keeps all rules")
        or diag(map { "$what: $_\n" } @{ $hls->{violations} });
    is_deeply($dash->{violations}, [], "$what: DASH keeps all rules")
        or diag(map { "$what: $_\n" } @{ $dash->{violations} });
    note(map { "$what: $_\n" } @{ $hls->{timing} }, @{ $dash->{timing} });

    # a player that saw nothing has nothing to complain of
    for my $count (sort keys %least) {
        my $n = ($hls->{counts}{$count} // 0) + ($dash->{counts}{$count} // 0);

        cmp_ok($n, '>=', $least{$count}, "$what: $n $count were looked at");
    }

    return ($hls, $dash);
}


# --- frame rates --------------------------------------------------------------

sub test_rates {
    my (@apps) = @_;

    my (%streams, $i);

    for my $fps (sort keys %rates) {
        my $app = $apps[$i++ % 2];
        my $name = "rate$i";
        my $pid = $t->ffmpeg_publish("$app/$name", clip => $clips{$fps});

        $streams{"$app $fps"} = { base => "/$app/$name",
                                  running => sub { $t->is_running($pid) } };
    }

    my %crawls = crawl($SECONDS + $END + 15, %streams);

    for my $name (sort keys %streams) {
        verdict("$name frames/s", $crawls{$name},
                [ [ $streams{$name}{gone} // time(), 9e9 ] ],
                segments => 8, parts => 2 * $SECONDS, hints => $SECONDS,
                blocked => $SECONDS, reports => $SECONDS,
                concatenations => 4, times => 2, dates => 4);
    }
}


# --- events -------------------------------------------------------------------

sub test_events {
    my $length = 1000 * $EVENT;

    my %plans = (
        'a jump forward' => [ { wait => 0, tags => [
            timed(0, 0, $small), timed($length, 3_600_000, $small) ] } ],
        'a jump back' => [ { wait => 0, tags => [
            timed(0, 3_600_000, $small), timed($length, 0, $small) ] } ],
        'a publisher that comes back' => [
            { wait => 0, tags => [ timed(0, 0, $small) ] },
            { wait => 1.5, tags => [ timed(0, 0, $small) ] } ],
        'another publisher' => [
            { wait => 0, tags => [ timed(0, 0, $small) ] },
            { wait => 1, tags => [ timed(0, 0, $large) ] } ],
        'other codecs' => [ { wait => 0, tags => [
            timed(0, 0, $small), timed($length, $length, $large) ] } ],
    );

    my (%streams, %names, $i);

    # long enough for delta updates, and for what has left the playlist
    for my $app ('long', 'slide') {
        my $pid = $t->ffmpeg_publish("$app/x", clip => $steady);

        $streams{$app} = { base => "/$app/x",
                           running => sub { $t->is_running($pid) } };
    }

    for my $what (sort keys %plans) {
        my $name = $names{$what} = 'event' . ++$i;
        my $pid = feed($name, @{ $plans{$what} });

        $streams{$what} = { base => "/half/$name", pid => $pid,
                            running => sub { 1 } };
    }

    my %crawls = crawl(2 * $EVENT + $END + 20, %streams);

    verdict('long', $crawls{long}, [ [ $streams{long}{gone}, 9e9 ] ],
            deltas => 10, 'deltas merged' => 10);
    verdict('slide', $crawls{slide}, [ [ $streams{slide}{gone}, 9e9 ] ],
            'files again' => 20);

    for my $what (sort keys %plans) {
        waitpid $streams{$what}{pid}, 0;
        is($?, 0, "$what: published");

        my ($hls) = verdict($what, $crawls{$what},
                            away_times($names{$what}), segments => 8,
                            parts => 20, hints => 20, blocked => 20);
        my %dsn = map { ($_->{dsn} // 0) => 1 }
                  values %{ $hls->{tracks}{source}{segments} };

        is(keys %dsn, 2, "$what: one discontinuity");
    }
}


# --- other readers ------------------------------------------------------------

# Parsers of players, that others wrote, find nothing to complain of either.
sub test_readers {
    my ($code, $output) = $t->command('node', $t->root()
                                      . '/t/browser/readers.js',
                                      $t->dir() . '/dump');
    my @lines = split /\n/, $output;
    my $counts = @lines ? pop @lines : '';

    is(join("\n", @lines > 20 ? @lines[0 .. 20] : @lines), '',
       'hls-parser, m3u8-parser, mpd-parser and mp4box accept all that was '
       . "served: $counts");
    is($code, 0, 'and had something to read');
}
