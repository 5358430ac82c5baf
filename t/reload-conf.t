#!/usr/bin/env perl

# Reloads with another configuration while streams run: settings are for what
# is published next, and what has no application any more ends.

# asan
# waits

use strict;
use warnings;

use Test::Live;
use Test::Live::Feed;
use Test::Live::M3U8;
use Test::Live::RTMP;
use Test::Live::Steps;
use Test::More;

use constant CLOSED => 'NetStream.Publish.Denied';

my $t = Test::Live->new();

my $tags = Test::Live::RTMP::flv_tags($t->clip(seconds => 4, gop => 15));

configure();
$t->run();

test_settings();
test_resumed();
test_removed();
test_no_live();

done_testing();


# Without arguments all applications as they are at first; live => '': none.
sub configure {
    my (%option) = @_;

    my %applications = (
        stays => 'segment 500ms max=1s; window 3s; resume 1h;',
        change => 'segment 500ms max=1s; window 3s; resume 1s;',
        resumed => 'segment 500ms max=2s; window 9s; resume 1h;',
        gone => 'segment 1s max=1s; window 3s; resume 1h; backup on;',
        %{ $option{applications} || {} });

    my @names = grep { $applications{$_} } sort keys %applications;
    my $applications = join "\n", map { "application $_ { $applications{$_} }" }
                                  @names;
    my $locations = join "\n", map { "location /$_/ { live_play $_; }" } @names;

    my $live = <<"CONF";
live {
    zone 64m;
    part 250ms;
    $applications
}

stream {
    log_format live '\$live_app/\$live_name \$live_state';
    access_log %%DIR%%/stream.log live;

    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}
CONF

    my $play = <<"CONF";
        $locations
        location /any/ { live_play \$arg_app; }
        location = /streams { live_api \$arg_app; }
CONF

    ($live, $play) = ('', '') if defined $option{live} && !$option{live};

    $t->write_file_expand('nginx.conf', <<"CONF");
%%TEST_GLOBALS%%
worker_processes 1;
events { }

$live

http {
    %%TEST_GLOBALS_HTTP%%
    add_header X-Worker \$pid always;

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location = /up { return 204; }
$play
    }
}
CONF
}


# --- tools --------------------------------------------------------------------

sub feed {
    my ($app, $name, %properties) = @_;

    my $c = Test::Live::RTMP->new(port => $t->port(1935));

    $c->handshake();
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
    my ($stream, $query) = @_;

    my $r = $t->get("/$stream/source/playlist.m3u8" . ($query // ''),
                    timeout => 0.5);

    return $r->{status} == 200 ? Test::Live::M3U8->parse($r->{body}) : undef;
}


sub segments {
    my $p = playlist(@_) or return 0;

    return scalar @{ $p->{segments} };
}


sub durations {
    return map { $_->{duration} } @{ playlist(@_)->{segments} };
}


# --- other settings -----------------------------------------------------------

sub test_settings {
    my $running = feed('change', 'running');

    feed_until(sub { segments('change/running') >= 3 }, $running);

    my $old = playlist('change/running');

    configure(applications => {
        change => 'segment 2s max=3s; part 500ms; window 6s; resume 1s;' });
    reload_with($running);

    my $next = feed('change', 'next');

    ok(feed_until(sub { segments('change/next') >= 2 }, $running, $next),
       'what is published next has segments');
    is(playlist('change/next')->{target}, 3, 'of the new target');
    cmp_ok((durations('change/next'))[1], '>=', 1.9, 'and the new length');
    cmp_ok(playlist('change/next')->{part_target}, '>=', 0.5, 'and parts');

    my $now = playlist('change/running');

    is_deeply([ $now->changes_since($old) ], [], 'what runs goes on');
    is($now->{target}, 1, 'with its target (HLS-8)');
    is($now->{part_target}, $old->{part_target}, 'and parts (HLS-50)');
    is(scalar(grep { $_ > 0.6 } durations('change/running')), 0,
       'and its length of segments');

    # the next publication of that name
    $running->client()->stop('running');
    ok(feed_until(sub {
        my $p = playlist('change/running');

        return $p && $p->{endlist};
    }, $next), 'its publisher goes, and does not come back in time');

    $running = feed('change', 'running');
    ok(feed_until(sub {
        my $p = playlist('change/running');

        return $p && !$p->{endlist} && @{ $p->{segments} } >= 2;
    }, $running, $next), 'it is published again');
    is(playlist('change/running')->{target}, 3, 'with the new settings');

    $_->client()->stop('x') for $running, $next;
}


# A timeline that goes on keeps what players were promised, and no more.
sub test_resumed {
    configure();
    ok($t->reload(), 'as before');

    my $feed = feed('resumed', 'x');

    feed_until(sub { segments('resumed/x') >= 3 }, $feed);

    my $first = playlist('resumed/x');

    for my $next ([ '1s max=2s', 0.9, 1.1, 0 ], [ '500ms max=2s', 0.4, 0.6, 0 ],
                  [ '3s max=4s', 1.9, 2.1, 1 ], [ '1s max=4s', 0.9, 1.1, 1 ])
    {
        my ($segment, $least, $most, $said) = @$next;
        my $log = () = $t->log(qr/the timeline goes on with segments of/);

        configure(applications => {
            resumed => "segment $segment; window 9s; resume 1h;" });
        reload_with($feed);

        my $before = playlist('resumed/x');

        $feed->client()->stop('x');
        $feed = feed('resumed', 'x');

        my @last;

        ok(feed_until(sub {
            my $p = playlist('resumed/x') or return 0;

            @last = grep { $_->{msn} >= $before->{open}{msn} }
                    @{ $p->{segments} };
            shift @last while @last && !$last[0]{discontinuity};

            return @last >= 3;
        }, $feed), "segment $segment: a publication goes on");

        my $now = playlist('resumed/x');

        is_deeply($now->{errors}, [], 'the playlist is valid');
        is($now->{target}, $first->{target}, 'its target is as before (HLS-8)');
        is($now->{part_target}, $first->{part_target},
           'and that of its parts (HLS-50)');
        is($now->{segments}[-1]{uri} =~ /^seg-(\w+)-/ && $1,
           $first->{segments}[-1]{uri} =~ /^seg-(\w+)-/ && $1,
           'it is the same timeline');
        is_deeply([ grep { $_ < $least || $_ > $most }
                    map { $_->{duration} } @last[1 .. $#last] ], [],
                  'the length of segments is that of now');
        is(scalar(() = $t->log(qr/the timeline goes on with segments of/))
           - $log, $said, $said ? 'a log line says what does not apply'
                                : 'all applies');
    }

    $feed->client()->stop('x');
}


# --- an application that is removed -------------------------------------------

sub test_removed {
    configure();
    ok($t->reload(), 'as before');

    my $plain = feed('gone', 'plain');
    my $able = feed('gone', 'able', capsEx => 1);
    my $by = feed('gone', 'plain');
    my $away = feed('gone', 'away');
    my $stays = feed('stays', 'x');
    my @gone = ($plain, $able, $by);

    # connected, and not publishing yet
    my $late = Test::Live::RTMP->new(port => $t->port(1935));

    $late->handshake();
    $late->connect('gone');

    feed_until(sub {
        return !grep { segments($_) < 2 }
               qw{ gone/plain gone/able gone/away stays/x };
    }, @gone, $away, $stays);
    $away->client()->stop('away');

    # held until there is more than comes
    my $p = playlist('gone/plain');
    my $held = ask($t, '/gone/plain/source/playlist.m3u8?_HLS_msn='
                       . ($p->{open}{msn} + 1));

    # a location that needs it
    configure(applications => { gone => '' });
    my $text = $t->read_file('nginx.conf');

    $t->write_file('nginx.conf', $text =~ s{location /any}
                                 {location /x/ { live_play gone; }\n$&}r);
    $t->allow_log(qr/names the unknown application "gone"/);
    ok(!$t->reload(), 'while a location needs it, it cannot be removed');
    is($t->get('/up')->{status}, 204, 'and all is as before');
    ok(feed_until(sub { segments('gone/plain') >= 3 }, @gone, $stays),
       'streams of it, too');

    $t->write_file('nginx.conf', $text);
    reload_with(@gone, $stays);

    is(($late->publish('late') || {})->{code}, 'NetStream.Publish.Start',
       'an old worker does not know yet');
    ok(feed_until(sub { !grep { !$_->{over} } @gone }, @gone, $stays),
       'application removed: its publishers are disconnected');

    for my $feed (@gone) {
        my ($last) = ($feed->statuses())[-1];

        is("$last->{level} $last->{code}", 'error ' . CLOSED, 'and told');
        is($last->{description}, 'the application was removed', 'why');
    }

    ok($late->is_closed(10), 'who came late as well');

    my $message = qr/\[error\] .*publishing ends: the new configuration has /
                  . qr/no application "gone" .*stream: "gone\/(\w+)"/;

    ok($t->wait_for(sub { $t->log($message) == 4 }, 5, 'log lines'),
       'a log line for each');
    is_deeply([ sort map { $_ =~ $message } $t->log($message) ],
              [ qw/ able late plain plain / ], 'with its name');
    ok($t->wait_for(sub {
        return 4 == (() = $t->read_file('stream.log') =~ m{^gone/\w+ removed$}mg);
    }, 10, 'lines'), '$live_state says so');

    test_removed_players($held, $stays);

    # it is a name like any other then
    my $c = Test::Live::RTMP->new(port => $t->port(1935));

    $c->handshake();
    $c->connect('gone');
    is(($c->publish('plain') || {})->{description}, 'unknown application',
       'nobody can publish to it');
    $c->close();

    test_back($stays);
}


sub test_removed_players {
    my ($held, $stays) = @_;

    is(answer($held)->{status}, 200, 'a request that was held is answered');
    is($t->get('/gone/plain/source/playlist.m3u8')->{status}, 404,
       'its location is gone');

    for my $name (qw/ plain able away /) {
        ok(feed_until(sub {
            my $p = playlist("any/$name", '?app=gone');

            return $p && $p->{endlist};
        }, $stays), "by another location: gone/$name has ended");
    }

    # 2 windows and a target
    ok(feed_until(sub {
        return $t->get('/streams?app=gone')->{body} =~ /"streams":\[\]/;
    }, $stays), 'and its memory is free when that is over');

    is($stays->{over}, undef, 'other publishers stay');
    ok(feed_until(sub { segments('stays/x') >= 3 }, $stays),
       'and other streams go on');
}


# An application of that name is a new one.
sub test_back {
    my ($stays) = @_;

    configure();
    reload_with($stays);

    my $feed = feed('gone', 'plain');

    ok(feed_until(sub { segments('gone/plain') >= 2 }, $feed, $stays),
       'there is such an application again: it can be published to');

    # gone and back before anybody has noticed
    configure(applications => { gone => '' });
    reload_with($feed, $stays);
    configure();
    reload_with($feed, $stays);

    my $client = $feed->{over}
                 ? do { $feed = feed('gone', 'plain'); 'came back' } : 'stays';
    my $before = playlist('gone/plain');
    my $msn = $before ? $before->{open}{msn} : 0;

    # longer than workers need to notice
    ok(feed_until(sub {
        my $p = playlist('gone/plain') or return 0;

        return $p->{open}{msn} >= $msn + 4;
    }, $feed, $stays), "removed for a moment: the publisher $client");
    is($feed->{over}, undef, 'nobody ends it then');

    $_->client()->stop('x') for $feed, $stays;
}


# --- no live block at all -----------------------------------------------------

sub zone_files {
    return grep { (readlink $_ // '') =~ m{^/memfd:ngx_live} }
           glob '/proc/' . $t->master() . '/fd/*';
}


sub test_no_live {
    my $feed = feed('stays', 'last');

    feed_until(sub { segments('stays/last') >= 2 }, $feed);
    is(scalar zone_files(), 1, 'the master holds one file of media');

    my @before = $t->workers(1);

    configure(live => '');
    reload_with($feed);

    ok(feed_until(sub { $feed->{over} }, $feed),
       'without a live block publishers are disconnected');
    is((($feed->statuses())[-1] || {})->{code}, CLOSED, 'and told');
    ok(scalar(() = $t->log(qr/has no application "stays"/)),
       'there is a log line');
    ok($t->wait_for(sub { $t->workers(1) == 1 }, 20, 'exit'),
       'old workers exit');
    is(scalar zone_files(), 0, 'the media are given back');

    configure();
    ok($t->reload(), 'and with one again');
    is(scalar zone_files(), 1, 'there is a new file of media');

    $feed = feed('stays', 'last');
    ok(feed_until(sub { segments('stays/last') >= 2 }, $feed),
       'and streams are there');
    $feed->client()->stop('last');
}
