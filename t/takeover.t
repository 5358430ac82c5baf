#!/usr/bin/env perl

# asan
# waits
# Conflicts of publishers: publish_conflict, and a backup that stands by
# (RTMP-70, RTMP-71; invariants 1, 10).

use strict;
use warnings;

use Test::Live;
use Test::Live::Feed;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::Live::RTMP;
use Test::More;
use Time::HiRes qw/ time /;

use constant RTMP => 'Test::Live::RTMP';

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 128m;
    segment 1s max=2s;
    window 60s;

    application stalled { }
    application refuse {
        publish_conflict refuse;
        publish_stall 100ms;
    }
    application takeover { publish_conflict takeover; }

    # with a resume that is shorter than a group of pictures
    application backup {
        publish_stall 2s;
        resume 100ms;
        backup on;
    }
}

stream {
    log_format live '$pid|$live_app/$live_name|$live_state|';
    access_log %%DIR%%/stream.log live;

    server { listen 127.0.0.1:%%PORT_1935%% reuseport; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;
        location /stalled/ { live_play stalled; }
        location /takeover/ { live_play takeover; }
        location /backup/ { live_play backup; }
    }
}
CONF

# key frames every second
my $path = $t->clip(seconds => 4, gop => 30);
my $other = $t->clip(seconds => 4, gop => 30, size => '256x144');
my $sound = $t->clip(seconds => 4, video => 0);
my ($tags, $others, $sounds) = map { RTMP->can('flv_tags')->($_) }
                               $path, $other, $sound;

$t->run();

my @workers = $t->workers();

refuse();
takeover();
stalled();
stalled_impatient();
backup_ends(0);
backup_ends(1);
backup_silent();
backup_places();
backup_of_sound();

done_testing();


# --- publish_conflict ---------------------------------------------------------

sub refuse {
    my $first = start('refuse', 'first');

    $first->send_tags($tags);
    select undef, undef, undef, 0.3;

    my $second = client_on($workers[1]);
    $second->connect('refuse');

    my $info = $second->publish('first') || {};

    is($info->{code}, 'NetStream.Publish.BadName',
       'publish_conflict refuse: also a silent publisher stays (RTMP-70)');
    like($info->{description}, qr/^the stream is being published already$/,
         'the other one is told why');
    ok($second->is_closed(), 'and closed');
    is(scalar(() = $t->log(qr/publishing "first" refused: the stream is being/)),
       1, 'with a log line');

    $first->stop('first');
    ok($t->wait_for(sub { log_of('refuse/first', 'finished') }, 10, 'end'),
       'the first one ends as it likes');

    $second = start('refuse', 'first');
    pass('and the next one may begin');
    $second->stop('first');
}


sub takeover {
    my $first = Test::Live::Feed->new(client_on($workers[0]), []);

    begin($first->client(), 'takeover', 'x');

    my $feed = Test::Live::Feed->new($first->client(), $tags);

    feed_until(sub { segments('takeover/x') >= 2 }, $feed);

    my $second = client_on($workers[1]);

    begin($second, 'takeover', 'x');

    my $new = Test::Live::Feed->new($second, $others, offset => 70000);

    ok(feed_until(sub { $feed->status('NetStream.Unpublish.Success') },
                  $feed, $new),
       'publish_conflict takeover: who sends is told to end (RTMP-71)');
    ok(feed_until(sub { log_of('takeover/x', 'replaced') }, $new),
       'and closed');
    feed_until(sub { after_break('takeover/x') >= 2 }, $new);
    one_timeline('takeover/x', 'takeover', 3);
    $second->stop('x');
}


# As it is without any setting: who fell silent is replaced after two seconds,
# by one that has come at once.
sub stalled {
    my $first = $t->ffmpeg_publish('stalled/x', clip => $path, loop => -1);

    $t->wait_for(sub { segments('stalled/x') >= 2 }, 20, 'first publisher');

    my $began = time();
    my $intruder = RTMP->new(port => $t->port(1935));
    $intruder->handshake();
    $intruder->connect('stalled');

    is(($intruder->publish('x') || {})->{code}, 'NetStream.Publish.BadName',
       'publish_conflict stalled: refused while the first one sends');
    note(sprintf 'after %.2f s', time() - $began);

    kill 'STOP', -$first;
    $began = time();

    my $second = $t->ffmpeg_publish('stalled/x', clip => $other, loop => -1);

    ok($t->wait_for(sub { after_break('stalled/x') >= 1 }, 20, 'second'),
       'an encoder that comes back at once has the stream');
    note(sprintf 'its first segment was there after %.2f s', time() - $began);
    ok($t->is_running($second), 'without being refused before');
    is(scalar(() = $t->log(qr{refused: .*"stalled/x"})), 1,
       'only the intruder was');

    # silence, the encoder's start, and what the first one had not ended
    one_timeline('stalled/x', 'stalled', 2 + 8);

    kill 'CONT', -$first;
    ok($t->wait_for(sub { !$t->is_running($first) }, 15, 'end of the first'),
       'the first one is closed');
    $t->end($second);
}


# Who waits for an answer may go, and is refused when the first one is back.
sub stalled_impatient {
    my $first = start('stalled', 'y');

    $first->send_tags($tags);

    my @waiting = map { client_on($_) } @workers;

    for my $c (@waiting) {
        $c->connect('stalled');
        $c->create_stream();
        $c->stream_command('publish', 'y', 'live');
        # what a hasty one sends meanwhile
        $c->set_chunk_size(4096);
        $c->send_tags([ @$tags[0 .. 3] ]);
    }

    # both have been read
    select undef, undef, undef, 0.3;
    $waiting[0]->close();
    $first->message(4, pack('n N', 6, 1), csid => 2);

    my $info = $waiting[1]->status() || {};

    is($info->{code}, 'NetStream.Publish.BadName',
       'who waits is refused when the first one is heard again');
    ok($waiting[1]->is_closed(), 'and closed');
    $first->stop('y');
}


# --- backup on ----------------------------------------------------------------

# The first one ends; the second one, of the same or another worker, goes on.
sub backup_ends {
    my ($other_worker) = @_;

    my $name = "ends-$other_worker";
    my $what = $other_worker ? 'backup, another worker' : 'backup';
    my @clients = map { client_on($_) } @workers[0, $other_worker];

    begin($clients[0], 'backup', $name);

    my $first = Test::Live::Feed->new($clients[0], $tags);

    begin($clients[1], 'backup', $name);
    like(join("\n", $t->log(qr/this one waits/)), qr{"backup/$name"},
         "$what: a second publisher stands by");

    my $second = Test::Live::Feed->new($clients[1], $others, skip => 500,
                                       offset => 90000);

    feed_until(sub { segments("backup/$name") >= 2 }, $first, $second);

    my $p = playlist("backup/$name", 15);

    unbroken("backup/$name", "$what, while it stands by");

    # in the middle of a group of pictures of the second one
    $first->client()->stop($name);
    feed_until(sub { after_break("backup/$name") >= 2 }, $second);

    one_timeline("backup/$name", $what, 1 + 1, $p);
    is(scalar(() = $t->log(
           qr{the one that stood by goes on.*"backup/$name"})), 1,
       "$what: with a log line");

    $second->client()->stop($name);
    ok($t->wait_for(sub { (playlist("backup/$name") || {})->{endlist} }, 10,
                    'end'),
       "$what: the stream ends with the second one");
}


# With real encoders: the first one falls silent.
sub backup_silent {
    my $first = $t->ffmpeg_publish('backup/s', clip => $path, loop => -1);

    $t->wait_for(sub { segments('backup/s') >= 1 }, 20, 'first publisher');

    my $second = $t->ffmpeg_publish('backup/s', clip => $other, loop => -1);

    ok($t->wait_for(sub { $t->log(qr{this one waits.*"backup/s"}) }, 10,
                    'backup'), 'ffmpeg stands by');
    $t->wait_for(sub { segments('backup/s') >= 3 }, 20, 'more segments');

    my $old = playlist('backup/s', 15);

    kill 'STOP', -$first;
    ok($t->wait_for(sub { after_break('backup/s') >= 3 }, 20, 'backup goes on'),
       'and goes on when the other one falls silent');

    # silence, a group of pictures, and what the first one had not ended
    one_timeline('backup/s', 'silent', 2 + 1 + 1, $old);

    # the first one has nothing any more, and may stand by again
    kill 'CONT', -$first;
    ok($t->wait_for(sub { !$t->is_running($first) }, 15, 'end of the first'),
       'the one that was silent is closed');

    my $third = $t->ffmpeg_publish('backup/s', clip => $path, loop => -1);

    ok($t->wait_for(sub { 2 == (() = $t->log(qr{this one waits.*"backup/s"})) },
                    10, 'backup again'), 'and stands by when it comes back');

    $t->end($second, 'KILL');
    ok($t->wait_for(sub { breaks('backup/s') == 2 }, 20, 'switch back'),
       'to go on in its turn');
    $t->end($third);
}


# There is one place: who has it, who loses it, who gets it.
sub backup_places {
    my @c = map { client_on($workers[$_ % 2]) } 0 .. 3;

    begin($c[0], 'backup', 'p');

    my $first = Test::Live::Feed->new($c[0], $tags);

    begin($c[1], 'backup', 'p');

    my $second = Test::Live::Feed->new($c[1], $others);

    feed_until(sub { segments('backup/p') >= 1 }, $first, $second);

    my $info = ask($c[2], 'backup', 'p', $first, $second);

    is($info->{code}, 'NetStream.Publish.BadName', 'a third one is refused');
    like($info->{description}, qr/and another publisher stands by/,
         'and told why');

    # the one that stands by falls silent
    my $third;

    feed_until(sub {
        $third = client_on($workers[1]);

        return ask($third, 'backup', 'p', $first)->{code}
               eq 'NetStream.Publish.Start';
    }, $first);

    ok($third, 'one that stands by and is silent loses its place');

    $third->set_chunk_size(4096);
    my $feed = Test::Live::Feed->new($third, $others);

    # it learns that with its next key frame
    feed_until(sub { $c[1]{closed} }, $first, $feed, $second);
    ok($c[1]{closed}, 'and is closed when it goes on');
    is(($second->status('NetStream.Unpublish.Success') || {})->{level},
       'status', 'after it was told');
    is(scalar(() = $t->log(qr{this publisher waits no longer.*"backup/p"})), 1,
       'with a log line');

    # a place that was left is free at once
    $third->stop('p');
    begin($c[3], 'backup', 'p');
    pass('who leaves makes room');

    # and when the first one has gone before any key frame of the second
    $c[0]->close();
    feed_until(sub {
        return (playlist('backup/p') || {})->{endlist} || $c[3]{closed}
    }, 2) and fail('the stream has ended');

    my $last = Test::Live::Feed->new($c[3], $others);

    feed_until(sub { after_break('backup/p') >= 1 }, $last);
    one_timeline('backup/p', 'late key frame', 10);
    $c[3]->stop('p');
}


# Without video any frame will do.
sub backup_of_sound {
    my @c = map { client_on($workers[$_]) } 0, 1;

    begin($c[0], 'backup', 'sound');

    my $first = Test::Live::Feed->new($c[0], $sounds);

    begin($c[1], 'backup', 'sound');

    my $second = Test::Live::Feed->new($c[1], $sounds);

    feed_until(sub { segments('backup/sound/audio') >= 2 }, $first, $second);

    unbroken('backup/sound/audio', 'sound stands by as well');
    $c[0]->close();
    feed_until(sub { after_break('backup/sound/audio') >= 1 }, $second);
    one_timeline('backup/sound/audio', 'sound', 1.5);
    $c[1]->stop('sound');
}


# --- tools --------------------------------------------------------------------

sub start {
    my ($app, $name) = @_;

    return RTMP->start(port => $t->port(1935), app => $app, name => $name);
}


sub begin {
    my ($c, $app, $name) = @_;

    $c->connect($app);

    my $info = $c->publish($name) || {};

    is($info->{code}, 'NetStream.Publish.Start', "$app/$name is accepted")
        or diag($info->{description} // $c->error());
    $c->set_chunk_size(4096);
}


# The answer, while others send on: they would be silent otherwise.
sub ask {
    my ($c, $app, $name, @others) = @_;

    $c->connect($app);
    $c->create_stream();
    $c->stream_command('publish', $name, 'live');

    my $feed = Test::Live::Feed->new($c, []);

    feed_until(sub { $feed->statuses() }, $feed, @others);

    return ($feed->statuses())[0] || { code => 'none' };
}


sub client_on { return RTMP->on_worker($t, $_[0]) }


sub feed_until {
    my ($until, @feeds) = @_;

    my $limit = ref $feeds[0] ? 20 : shift @feeds;

    return Test::Live::Feed::run($limit, $until, @feeds);
}


sub log_of {
    my ($stream, $state) = @_;

    return ($t->read_file('stream.log') // '') =~ m{\|\Q$stream\E\|$state\|};
}


sub track { return $_[0] =~ m{/.*/} ? $_[0] : "$_[0]/source" }


# Within a moment where feeds wait meanwhile: one that is empty yet is held.
sub playlist {
    my ($stream, $timeout) = @_;

    my $r = $t->get('/' . track($stream) . '/playlist.m3u8',
                    timeout => $timeout // 0.3);

    return $r->{status} == 200 ? Test::Live::M3U8->parse($r->{body}) : undef;
}


sub segments {
    my $p = playlist($_[0]) or return 0;

    return scalar @{ $p->{segments} };
}


sub breaks {
    my $p = playlist($_[0]) or return 0;

    return scalar grep { $_->{discontinuity} } @{ $p->{segments} };
}


# How many segments stand behind the discontinuity.
sub after_break {
    my $p = playlist($_[0]) or return 0;
    my @s = @{ $p->{segments} };
    my ($at) = grep { $s[$_]{discontinuity} } 0 .. $#s;

    return defined $at ? @s - $at : 0;
}


sub unbroken {
    my ($stream, $what) = @_;

    my @listed = @{ (playlist($stream, 15) || {})->{segments} || [] };

    cmp_ok(scalar @listed, '>=', 2, "$what: segments");
    is(scalar(grep { $_->{discontinuity} } @listed), 0,
       "$what: no discontinuity");
}


# Two publications, one timeline: one discontinuity, and a gap of so many
# seconds at most.
sub one_timeline {
    my ($stream, $what, $most, $old) = @_;

    my $p = playlist($stream, 15);
    my @listed = @{ $p->{segments} };
    my ($at) = grep { $listed[$_]{discontinuity} } 0 .. $#listed;

    is_deeply($p->{errors}, [], "$what: the playlist is valid");
    is(scalar(grep { $_->{discontinuity} } @listed), 1,
       "$what: one discontinuity (HLS-19, HLS-20)");
    is_deeply([ map { $_->{msn} } @listed ],
              [ map { $_ + $listed[0]{msn} } 0 .. $#listed ],
              "$what: numbers go on (HLS-11)");
    is_deeply([ $p->changes_since($old) ], [],
              "$what: what was listed stays as it is (HLS-12)") if $old;

    my %epochs = map { $_->{uri} =~ /-(\w+)-/; $1 => 1 } @listed;

    is(scalar keys %epochs, 1, "$what: one epoch (invariant 3)");

    my $scale = $stream =~ /audio/ ? 48000 : 90000;
    my (@segments, @errors);

    for my $i (0 .. $#listed) {
        my $s = Test::Live::MP4->segment(
            $t->get('/' . track($stream) . "/$listed[$i]{uri}")->{body});

        push @errors, @{ $s->{errors} };
        push @errors, $segments[-1]->join_errors($s)
            if $i && !$listed[$i]{discontinuity};
        push @segments, $s;
    }

    is_deeply(\@errors, [], "$what: its segments are valid, and join");

    my @anchors = map {
        int(1000 * ($listed[$_]{pdt} - $segments[$_]{start} / $scale) + 0.5)
    } 0 .. $#listed;

    is(scalar(grep { abs($_ - $anchors[0]) > 1 } @anchors), 0,
       "$what: PROGRAM-DATE-TIME is anchor + time throughout (HLS-21)");

    my $gap = ($segments[$at]{start} - $segments[$at - 1]{end}) / $scale;

    note(sprintf '%s: a gap of %.3f s', $what, $gap);
    cmp_ok($gap, '>=', 0, "$what: time goes on (CMAF-14)");
    cmp_ok($gap, '<=', $most, "$what: the gap is bounded");
}
