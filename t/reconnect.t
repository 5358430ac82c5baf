#!/usr/bin/env perl

# asan
# Encoders that can are asked to reconnect when their worker shuts down, and
# move to a new one (RTMP-99, RTMP-100; invariant 8).

use strict;
use warnings;

use Test::Live;
use Test::Live::Feed;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::Live::RTMP;
use Test::More;

use constant RTMP => 'Test::Live::RTMP';
use constant REQUEST => 'NetConnection.Connect.ReconnectRequest';

my $t = Test::Live->new();

# refuse: what moves is not refused even so
sub configure {
    my ($globals) = @_;

    $t->write_file_expand('nginx.conf', <<"CONF");
%%TEST_GLOBALS%%
$globals
worker_processes 1;
events { }

live {
    zone 64m;
    segment 1s max=2s;
    publish_conflict refuse;
    publish_stall 10s;

    application live { }
    application backup { backup on; }
}

stream {
    log_format live '\$pid|\$live_app/\$live_name|\$live_state|';
    access_log %%DIR%%/stream.log live;

    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
        location /backup/ { live_play backup; }
    }
}
CONF
}

my $tags = RTMP->can('flv_tags')->($t->clip(seconds => 4, gop => 30));

configure('');
$t->run();

capabilities();
move();
move_backup();
shutdown_timeout();

done_testing();


# What the server says of itself is said to those who ask (RTMP-111).
sub capabilities {
    my $c = RTMP->new(port => $t->port(1935));

    $c->handshake();

    my $result = $c->connect('live', capsEx => 3) || [];

    is($result->[2]{capsEx}, 1, 'connect: capsEx of the server');
    $c->close();

    $c = RTMP->new(port => $t->port(1935));
    $c->handshake();
    $result = $c->connect('live') || [];
    is($result->[0], '_result', 'connect without capsEx');
    is($result->[2]{capsEx}, undef, 'is answered as before');
    $c->close();
}


sub move {
    my $able = feed('live', 'able', capsEx => 1);
    my $not = feed('live', 'not', capsEx => 2);
    my $never = feed('live', 'never');
    my @all = ($able, $not, $never);

    feed_until(sub { segments('live/able') >= 2 }, @all);

    my ($old) = $t->workers();
    my $begin = playlist('live/able', 15);

    reload_with(@all);

    ok(feed_until(sub { $able->status(REQUEST) }, @all),
       'reload: an encoder is asked to reconnect (RTMP-99)');

    my ($message) = grep { $_->{values}
                           && $_->{values}[0] eq 'onStatus'
                           && $_->{values}[3]{code} eq REQUEST }
                    $able->messages();

    is($message->{msid}, 0, 'of the connection');
    is("$message->{values}[1] $message->{values}[3]{level}", '0 status',
       'with transaction 0, as a status');
    like($message->{values}[3]{description}, qr/\w/, 'and a description');
    is(scalar(() = $t->log(qr/the publisher is asked to reconnect/)), 1,
       'with a log line');
    is(scalar(grep { $_->status(REQUEST) } $not, $never), 0,
       'others are left alone');

    # the old worker goes on (RTMP-100)
    my $had = segments('live/able');

    ok(feed_until(sub { segments('live/able') >= $had + 2 }, @all),
       'what the old worker receives is served');

    # another encoder does not slip in
    my $stranger = client();

    $stranger->connect('live', capsEx => 1, flashVer => 'another');
    is(($stranger->publish('able') || {})->{code}, 'NetStream.Publish.BadName',
       'only the same client may move');
    is(($able->status('NetStream.Unpublish.Success')), undef,
       'who was asked still publishes');

    # it comes; until its key frame the old connection is received
    my $c = client();

    $c->connect('live', capsEx => 1);
    is(($c->publish('able') || {})->{code}, 'NetStream.Publish.Start',
       'the encoder comes to the new worker (RTMP-100)');
    $c->set_chunk_size(4096);
    $had = segments('live/able');
    ok(feed_until(sub { segments('live/able') >= $had + 2 }, @all),
       'its old connection counts until a key frame has come');

    my $moved = Test::Live::Feed->new($c, $tags, skip => 500, offset => 50000);
    my @now = ($moved, $not, $never);

    ok(feed_until(sub { $able->status('NetStream.Unpublish.Success') },
                  $able, @now), 'then it is told to end');
    ok(feed_until(sub { $t->read_file('stream.log')
                        =~ m{^$old\|live/able\|moved\|$}m }, @now),
       '$live_state says that it has moved');
    is(scalar(() = $t->log(qr/taken over by another publisher/)), 0,
       'which is no news to worry about');
    ok(feed_until(sub { after_break('live/able') >= 2 }, @now),
       'the stream goes on');
    is(scalar(grep { $_->{client}{closed} } @now), 0, 'nobody was dropped');

    one_timeline('live/able', 'moved', 2, $begin);

    # others leave, and the old worker exits
    $_->client()->stop('x') for $not, $never;
    ok(feed_until(sub { !grep { $_ == $old } $t->workers(1) }, $moved),
       'the old worker exits');
    unbroken('live/not', 'an encoder that was left alone');
    $moved->client()->stop('able');
}


# The one that stands by keeps its place, too.
sub move_backup {
    my @old = map { feed('backup', 'b', capsEx => 1) } 1, 2;

    feed_until(sub { segments('backup/b') >= 2 }, @old);
    reload_with(@old);

    ok(feed_until(sub { 2 == grep { $_->status(REQUEST) } @old }, @old),
       'backup: both are asked');

    my @new;

    for my $i (0, 1) {
        my $c = client();

        $c->connect('backup', capsEx => 1);
        is(($c->publish('b') || {})->{code}, 'NetStream.Publish.Start',
           "backup: publisher $i comes to the new worker");
        $c->set_chunk_size(4096);
        push @new, Test::Live::Feed->new($c, $tags, offset => 50000 * $i);
    }

    ok(feed_until(sub { 2 == grep { $_->{client}{closed} } @old }, @old, @new),
       'backup: both old connections are closed');
    is(scalar(grep { $_->{client}{closed} } @new), 0,
       'backup: and no new one');
    ok(feed_until(sub { after_break('backup/b') >= 2 }, @new),
       'backup: the stream goes on');
    one_timeline('backup/b', 'backup', 2);

    $new[0]->client()->stop('b');
    ok(feed_until(sub { breaks('backup/b') == 2 }, $new[1]),
       'backup: and the other one still stands by');
    $new[1]->client()->stop('b');
}


# Who has not gone by then is told that it is over.
sub shutdown_timeout {
    configure('worker_shutdown_timeout 2s;');
    ok($t->reload(), 'reload with worker_shutdown_timeout');

    my $able = feed('live', 'late', capsEx => 1);
    my $never = feed('live', 'later');

    feed_until(sub { segments('live/late') >= 1 }, $able, $never);
    reload_with($able, $never);

    feed_until(sub { $able->{client}{closed} && $never->{client}{closed} },
               $able, $never);

    for my $feed ($able, $never) {
        my ($last) = ($feed->statuses())[-1];

        is("$last->{level} $last->{code}",
           'status NetConnection.Connect.Closed',
           'worker_shutdown_timeout: told (RTMP-100)');
        ok($feed->{client}{closed}, 'and closed');
    }

    ok($able->status(REQUEST), 'after it was asked to reconnect');
    like($t->read_file('stream.log'), qr{\|live/late\|closed\|},
         '$live_state says so');
}


# --- tools --------------------------------------------------------------------

sub client {
    my $c = RTMP->new(port => $t->port(1935));

    $c->handshake();

    return $c;
}


sub feed {
    my ($app, $name, %properties) = @_;

    my $c = client();

    $c->connect($app, %properties);

    my $info = $c->publish($name) || {};

    is($info->{code}, 'NetStream.Publish.Start', "$app/$name is accepted");
    $c->set_chunk_size(4096);

    return Test::Live::Feed->new($c, $tags);
}


sub feed_until {
    my ($until, @feeds) = @_;

    return Test::Live::Feed::run(20, $until, @feeds);
}


# Feeds while nginx reloads.
sub reload_with {
    my (@feeds) = @_;

    my %old = map { $_ => 1 } $t->workers();

    kill 'HUP', $t->master();
    ok(feed_until(sub {
        my @now = $t->workers();

        return @now && !grep { $old{$_} } @now;
    }, @feeds), 'new workers');
}


sub playlist {
    my ($stream, $timeout) = @_;

    my $r = $t->get("/$stream/source/playlist.m3u8",
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


# One discontinuity, and a gap of so many seconds at most.
sub one_timeline {
    my ($stream, $what, $most, $old) = @_;

    my $p = playlist($stream, 15);
    my @listed = @{ $p->{segments} };
    my ($at) = grep { $listed[$_]{discontinuity} } 0 .. $#listed;
    my %epochs = map { $_->{uri} =~ /-(\w+)-/; $1 => 1 } @listed;

    is_deeply($p->{errors}, [], "$what: the playlist is valid");
    is(scalar(grep { $_->{discontinuity} } @listed), 1,
       "$what: one discontinuity (HLS-19, HLS-20)");
    is_deeply([ map { $_->{msn} } @listed ],
              [ map { $_ + $listed[0]{msn} } 0 .. $#listed ],
              "$what: numbers go on (HLS-11)");
    is(scalar keys %epochs, 1, "$what: one epoch (invariant 3)");
    is_deeply([ $p->changes_since($old) ], [],
              "$what: what was listed stays as it is (HLS-12)") if $old;

    my ($before, $after) = map {
        Test::Live::MP4->segment(
            $t->get("/$stream/source/$listed[$_]{uri}")->{body})
    } $at - 1, $at;

    my $gap = ($after->{start} - $before->{end}) / 90000;

    note(sprintf '%s: a gap of %.3f s', $what, $gap);
    cmp_ok($gap, '>=', 0, "$what: time goes on (CMAF-14)");
    cmp_ok($gap, '<=', $most, "$what: the gap is bounded");
}
