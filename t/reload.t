#!/usr/bin/env perl

# Invariant 8: a reload drops no publisher and no viewer, and the new workers
# serve the streams that old workers still receive.

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use POSIX ();
use Test::Live;
use Test::Live::M3U8;
use Test::Live::RTMP;
use Test::More;
use Time::HiRes qw/ time sleep /;

my $t = Test::Live->new();

sub configure {
    my ($workers, $segment) = @_;

    $t->write_file_expand('nginx.conf', <<"CONF");
%%TEST_GLOBALS%%
worker_processes $workers;
events { }

live {
    zone 64m;

    application live {
        segment $segment;
        window 40s;
        resume 30s;
    }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%
    add_header X-Worker \$pid always;

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
        location /slow/ { live_play live; limit_rate 8k; }
    }
}
CONF
}

my $clip = Test::Live::RTMP::flv_tags($t->clip(seconds => 6, gop => 15));
my (%publishers, %last, %copies);

configure(2, '1s max=1s');
$t->run();

start('first');
poll_stream('first');

# worker processes of each configuration in turn
for my $workers (3, 1, 2, 2, 4) {
    reload_to($workers);
}

test_settings();
test_end();

done_testing();


# --- publishers ---------------------------------------------------------------

# Publishes a clip over and over until it is ended.
sub start {
    my ($name) = @_;

    my $pid = fork() // die "cannot fork: $!\n";

    return $publishers{$name} = $pid if $pid;

    eval {
        my $client = Test::Live::RTMP->start(port => $t->port(1935),
                                             app => 'live', name => $name);
        my ($start, $offset) = (time(), 0);

        while (1) {
            for my $tag (grep { $_->{type} != 18 } @$clip) {
                my $ms = $tag->{timestamp} + $offset;

                sleep 0.005 while time() < $start + $ms / 1000;
                $client->send_tags([ $tag ], $offset) or die;
            }

            $offset += 6000;
        }
    };

    POSIX::_exit(1);
}


sub is_publishing {
    my ($name) = @_;

    return waitpid($publishers{$name}, POSIX::WNOHANG()) == 0;
}


sub stop {
    my ($name) = @_;

    kill 'KILL', $publishers{$name};
    waitpid delete $publishers{$name}, 0;
}


END {
    my $code = $?;
    kill 'KILL', values %publishers if $t && $t->{owner} == $$;
    $? = $code;
}


# --- players ------------------------------------------------------------------

sub tracks { return map { "/live/$_[0]/$_" } qw/ source audio / }


sub playlist {
    my ($track) = @_;

    my $r = $t->get("$track/playlist.m3u8");
    my $playlist = $r->{status} == 200 ? Test::Live::M3U8->parse($r->{body})
                                       : { segments => [], errors => [] };

    $playlist->{worker} = $r->{headers}{'x-worker'} || 0;

    return $playlist;
}


# Waits for more segments of a stream and compares with what was seen before.
sub poll_stream {
    my ($name) = @_;

    my @errors;

    for my $track (tracks($name)) {
        my $before = $last{$track};
        my $playlist;

        my $grown = $t->wait_for(sub {
            $playlist = playlist($track);

            return @{ $playlist->{segments} }
                   && (!$before || $playlist->{segments}[-1]{msn}
                                   > $before->{segments}[-1]{msn} + 1);
        }, 20, "segments of $track");

        push @errors, "$track does not go on" unless $grown;
        push @errors, @{ $playlist->{errors} };
        push @errors, $playlist->changes_since($before) if $before && $grown;

        push @errors, "$track: segments $before->{segments}[-1]{msn}, "
                      . "$playlist->{sequence}"
            if $before && $playlist->{sequence}
                          > $before->{segments}[-1]{msn} + 1;

        $last{$track} = $playlist if $grown;
    }

    return @errors;
}


# --- reloads ------------------------------------------------------------------

sub reload_to {
    my ($workers) = @_;

    my $what = "reload to $workers workers";

    # what viewers have before, and one who is in the middle of a segment
    for my $track (map { tracks($_) } keys %publishers) {
        for my $segment (@{ $last{$track}{segments} }) {
            my $url = "$track/$segment->{uri}";

            $copies{$url} //= md5_hex($t->get($url)->{body});
        }
    }

    my $track = (tracks('first'))[0];
    my $uri = $last{$track}{segments}[-1]{uri};
    my $viewer = $t->spawn({ stdout => 'viewer.m4s' }, qw/ curl -sS -m 60 /,
                           'http://127.0.0.1:' . $t->port(8080)
                           . "/slow/first/source/$uri");

    $t->wait_for(sub { -s $t->dir() . '/viewer.m4s' }, 10, 'slow download');
    ok($t->is_running($viewer), "$what: a viewer is in the middle of it");

    configure($workers, '1s max=1s');
    ok($t->reload(), "$what: done");

    my %new = map { $_ => 1 } $t->workers();

    is(keys %new, $workers, "$what: so many take connections");

    for my $name (sort keys %publishers) {
        is_deeply([ poll_stream($name) ], [],
                  "$what: $name goes on, its numbers as well (invariant 8)");
        ok(is_publishing($name), "$what: $name was not dropped");
    }

    test_copies($what, \%new);

    is($t->wait_exit($viewer, 60), 0, "$what: the viewer was not dropped");
    is(md5_hex($t->read_file('viewer.m4s')), $copies{"$track/$uri"},
       "$what: and has every byte (invariant 8)");

    # and the new workers have publishers of their own
    start("of$workers-" . keys %publishers);
    poll_stream($_) for grep { /^of/ } keys %publishers;
}


# What old workers have received comes from the new ones.
sub test_copies {
    my ($what, $new) = @_;

    my (@wrong, %by);

    for my $url (sort keys %copies) {
        my $r = $t->get($url);

        # it may have left by now
        next if $r->{status} == 404 && $url =~ m{(.*)/(.*)}
                && !grep { $_->{uri} eq $2 } @{ playlist($1)->{segments} };

        $by{ $r->{headers}{'x-worker'} }++;
        push @wrong, "$url: $r->{status}"
            if $r->{status} != 200 || md5_hex($r->{body}) ne $copies{$url};
    }

    is_deeply(\@wrong, [],
              "$what: segments have the same bytes (invariants 3, 8)");
    is_deeply([ grep { !$new->{$_} } keys %by ], [],
              "$what: and come from new workers");
    cmp_ok(scalar keys %by, '>=', 1, "$what: from " . keys(%by) . ' of them');
}


# New settings are for new streams.
sub test_settings {
    my $track = (tracks('first'))[0];

    configure(2, '2s max=3s');
    ok($t->reload(), 'reload with other settings');

    is_deeply([ poll_stream('first') ], [], 'the stream that is there goes on');
    is($last{$track}{target}, 1, 'with the target that it has promised '
                                 . '(HLS-8)');

    start('next');
    poll_stream('next');

    is($last{ (tracks('next'))[0] }{target}, 3,
       'the next stream has the new settings');
    cmp_ok($last{ (tracks('next'))[0] }{segments}[0]{duration}, '>', 1.9,
           'its segments are longer');
}


sub test_end {
    my @old = grep { my $pid = $_; !grep { $_ == $pid } $t->workers() }
              $t->workers(1);

    cmp_ok(scalar @old, '>=', 1, 'old workers stay with their publishers');

    # a publisher comes back, to a new worker
    my $track = (tracks('first'))[0];
    my ($epoch) = $last{$track}{map} =~ /init-(\w+)-/;

    poll_stream('first');
    stop('first');
    start('first');

    is_deeply([ poll_stream('first') ], [],
              'a publisher that comes back goes on with the timeline');

    my ($break) = grep { $_->{discontinuity} } @{ $last{$track}{segments} };

    ok($break, 'with a discontinuity (HLS-19)');
    like($break->{map}, qr/init-$epoch-[2-9]/, 'in the same epoch');

    stop($_) for sort keys %publishers;

    ok($t->wait_for(sub { $t->workers(1) == $t->workers() }, 20, 'exit'),
       'when their publishers have left, old workers exit');

    # their streams are looked after by others
    ok(scalar(@{ playlist($track)->{segments} }), 'what was published is '
                                                  . 'still there');
    is(scalar(() = $t->log(qr/exited on signal|lost its worker/)), 0,
       'no worker has died');
}
