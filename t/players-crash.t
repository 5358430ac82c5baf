#!/usr/bin/env perl

# Players in Chromium go on by themselves: over a reload without noticing it,
# when the worker is killed that receives the stream, or that serves them, and
# while one is stopped (invariants 1, 2, 3 and 9).
#
# alone

use strict;
use warnings;

use Test::More;
use Test::Live;
use Test::Live::Browser;

use constant {
    PLAYED => 12,                           # s of each player, each time
    STOP   => $ENV{LIVE_STOP} || 20,        # s that a worker is stopped
};

my @pages = ('hls.js', 'the example page', 'the DASH page');
my $t = Test::Live->new();

my $conf = Test::Live::Browser::conf(<<'LIVE', 'live');
    zone 128m;

    application live {
        segment 2s max=3s;
        window 60s;
        resume 60s;
    }
LIVE

$t->write_file_expand('nginx.conf', $conf);
$t->run();

my $base = 'http://127.0.0.1:' . $t->port(8080);
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

goes_on('undisturbed', 0, sub { });
goes_on('reload', 0, \&reload);
goes_on('the receiver is killed', 1, sub { kill_worker(receiver()) });
goes_on('a server is killed', 1, sub { kill_worker(other()) });
goes_on('a server is stopped', 1, sub { stop_worker(other()) });

is_deeply($browser->crashes(), [], 'no page has an uncaught error');
is_deeply($browser->refused(), [], 'no request is refused');

$browser->end();
$t->end($publisher);

done_testing();


sub publish {
    return $t->ffmpeg_publish('live/show', clip => { seconds => 20, gop => 60,
                                                     fps => 30 }, loop => -1);
}


sub segments {
    my $text = $t->get('/live/show/source/playlist.m3u8')->{body};

    return scalar(() = $text =~ /^#EXTINF:/mg);
}


sub report { return $browser->report($_[0]) }


# What an encoder does, and what the browser has told.
sub tend {
    $publisher = publish() unless $t->is_running($publisher);
    $browser->reports();
}


# The event may cost a moment where "stalls" are allowed.
sub goes_on {
    my ($what, $stalls, $event) = @_;

    tend();

    my @before = map { report($_) } 0 .. $#pages;

    $event->();

    my @from = map { report($_) } 0 .. $#pages;

    ok($t->wait_for(sub {
        tend();

        return !grep {
            report($_)->{currentTime} - $from[$_]{currentTime} < PLAYED
        } 0 .. $#pages;
    }, 60, 'players'), "$what: all play");

    for my $i (0 .. $#pages) {
        my ($old, $new) = ($before[$i], report($i));
        my @errors = new_of('errors', $old, $new);

        if ($stalls) {
            diag("$pages[$i], $what: ", $new->{stalls} - $old->{stalls},
                 ' stalls; ', @errors ? explain(\@errors) : 'no error');

            # the page for DASH has no others
            @errors = $new->{fatal} ? new_of('fatal', $old, $new)
                                    : grep { !/^error / } @errors;
        } else {
            is($new->{stalls}, $old->{stalls}, "$pages[$i], $what: no stall");
        }

        is_deeply(\@errors, [], "$pages[$i], $what: no error");
    }

    is(report(0)->{attached}, 1, "hls.js, $what: it was not begun again");
    is(report(1)->{restarts}, 0, "the example page, $what: nor that");
}


sub new_of {
    my ($list, $old, $new) = @_;

    return @{ $new->{$list} }[@{ $old->{$list} } .. $#{ $new->{$list} }];
}


sub receiver {
    my ($pid) = (grep { /publishing begins/ } split /\n/, $t->log())[-1]
                =~ / (\d+)#/;

    return $pid;
}


sub other {
    my $receiver = receiver();

    return (grep { $_ != $receiver } $t->workers())[0];
}


sub reload {
    my $receiver = receiver();

    $t->reload();
    is(receiver(), $receiver, 'reload: the publisher stays where it is');
}


sub kill_worker {
    my ($pid) = @_;

    $t->allow_log(qr/worker process $pid exited on signal 9/);
    kill 'KILL', $pid;
    ok($t->wait_for(sub { !kill 0, $pid }, 10, 'death'), "worker $pid is dead");
}


sub stop_worker {
    my ($pid) = @_;

    my $end = time() + STOP;

    kill 'STOP', $pid;
    $t->wait_for(sub { tend(); time() >= $end }, STOP + 5, 'the time');
    kill 'CONT', $pid;
    is(receiver() != $pid && kill(0, $pid), 1, "worker $pid was stopped");
}
