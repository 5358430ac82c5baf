#!/usr/bin/env perl

# Threads and the event loop under ThreadSanitizer: decoders, scalers, encoders,
# MPEG-TS and thumbnails hand over what they have, and share nothing else
# (invariant 5).
#
# That is seen of a program in which there is a race, too: t/tsan/tasks.c.
# Callbacks and slates, whose tests run a second time so ("# tsan"), are not here.

# alone

use strict;
use warnings;

use Test::Live;
use Test::Live::M3U8;
use Test::Live::RTMP;
use Test::More;

my $SECONDS = 6;

$ENV{TEST_TSAN} = 1;

# that it would be seen
my $race = serve(TASKS_RACE => 1);

like(join('', reports($race)), qr/data race .*tasks\.c/,
     'a race is seen where there is one');

my $t = serve();
my @reports = reports($t);

is(scalar @reports, 0, 'no race') or diag(@reports[0 .. min(3, $#reports)]);

done_testing();


sub min { return $_[0] < $_[1] ? $_[0] : $_[1] }


# Everything that threads do, in one nginx.
sub serve {
    my (%env) = @_;

    my $t = Test::Live->new();
    my $name = %env ? 'a race' : 'none';

    # reports of the race are wanted, and fail nothing by themselves
    $t->environment(%env, Test::Live::tsan_env('log_path=' . $t->dir()
                                               . '/tsan'));

    $t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 1;
events { }

thread_pool live threads=3;

live {
    zone 64m;
    thread_pool live;
    segment 1s max=3s;
    window 20s;
    resume 1s;
    transcode_idle 2s;
    pull_protocols file;

    application live {
        transcode always;
        rendition source copy;
        rendition low  size=160x90 video=100k preset=ultrafast audio=48k;
        rendition tiny size=96x54 video=50k preset=ultrafast;
    }

    application demand {
        rendition source copy;
        rendition low  size=160x90 video=100k preset=ultrafast;
    }
}

stream { server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } }

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
        location /demand/ { live_play demand; }
        location /streams { live_api demand; }
    }
}
CONF

    $t->run();

    my ($worker) = $t->workers();

    like(Test::Live::slurp_proc($worker, 'maps'), qr/libtsan/,
         "$name: the worker runs under ThreadSanitizer");

    use_threads($t, $name);

    return $t;
}


sub use_threads {
    my ($t, $name) = @_;

    my @clips = map { $t->clip(size => $_, fps => 15, gop => 15,
                               seconds => $SECONDS) } '192x108', '320x180';

    # two after each other, the second with other pictures
    for my $clip (@clips) {
        my @pids = map { $t->ffmpeg_publish("$_/x", clip => $clip) }
                   qw/ live demand /;

        $t->wait_for(sub { ask($t); !grep { $t->is_running($_) } @pids },
                     $SECONDS + 15, 'end of the publishers');
    }

    # one that a thread reads, to its end, and one that is deleted
    for my $pulled (qw/ whole half /) {
        $t->get('/streams', method => 'POST',
                body => qq({"stream_id":"$pulled",)
                        . qq("source_url":"file://$clips[0]"}));
    }

    ok($t->wait_for(sub {
        return $t->get('/streams/half')->{body} =~ /"running"/;
    }, 20, 'a pull'), "$name: a stream is pulled");
    $t->get('/streams/half', method => 'DELETE');
    ok($t->wait_for(sub {
        return $t->get('/streams/whole')->{body}
               =~ /"source":\{[^}]*"state":"ended"/;
    }, $SECONDS + 20, 'its end'), "$name: to its end");

    my %seen = ask($t);

    cmp_ok($seen{$_} // 0, '>', 0, "$name: $seen{$_} of $_")
        for qw{ /live/x/low /live/x/tiny /live/x/ts /demand/x/low };

    is($seen{thumbnail}, 200, "$name: a thumbnail");
}


# What makes work for threads; how many segments there are.
sub ask {
    my ($t) = @_;

    my %seen;

    $seen{thumbnail} = $t->get('/live/x/thumbnail.jpg?w=64')->{status};

    for my $path (qw{ /live/x/low /live/x/tiny /live/x/ts /demand/x/low }) {
        my $r = $t->get("$path/playlist.m3u8");

        next if $r->{status} != 200;

        my @segments = @{ Test::Live::M3U8->parse($r->{body})->{segments} };

        $seen{$path} = @segments;
        $t->get("$path/$segments[-1]{uri}") if @segments;
    }

    return %seen;
}


sub reports {
    my ($t) = @_;

    # those of the exit, too
    $t->stop();

    return map { /(WARNING: ThreadSanitizer.*?={18})/gs }
           map { $t->read_file($_) // '' } glob $t->dir() . '/tsan.*';
}
