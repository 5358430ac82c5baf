#!/usr/bin/env perl

# asan
# waits
# slate: everybody may have the stream of one at once, and what ends it
# (invariants 1, 7, 8); files that are none.

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use Test::Live;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::Live::RTMP;
use Test::More;
use Time::HiRes qw/ time /;

use constant RTMP => 'Test::Live::RTMP';

my $t = Test::Live->new();

make($_) for qw/ red.png gone.png /;

my $conf = <<'CONF';
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 128m;
    segment 1s max=2s;
    window 60s;
    resume 60s;
    publish_conflict refuse;
    slate red.png;

    application live { }
    application limit { max_publications 1; }
    application short { resume 8s; }
    application gone { slate gone.png; }

    application backup {
        publish_conflict stalled;
        backup on;
    }

    application removed { }
}

stream { server { listen 127.0.0.1:%%PORT_1935%% reuseport; live_rtmp; } }

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;
        location /live/ { live_play live; }
        location /limit/ { live_play limit; }
        location /short/ { live_play short; }
        location /backup/ { live_play backup; }
        location ~ ^/streams/(\w+)$ { live_api $1; }
        location /admin { live_api live; }
        location = /metrics { live_metrics; }
        location = /status { live_status json; }
    }
}
CONF

my $tags = RTMP->can('flv_tags')->($t->clip(seconds => 3, gop => 30));
my $large = RTMP->can('flv_tags')->($t->clip(seconds => 3, gop => 30,
                                             size => '480x270'));

configuration();

$t->write_file_expand('nginx.conf', $conf);
$t->run();
unlink $t->dir() . '/gone.png';

my @workers = $t->workers();

comes_back(0);
comes_back(1);
goes_again();
changes();
limit();
backup();
without();
deleted();
dies();
reload();

# a slate must not keep nginx from ending
away('live/last');

done_testing();


# --- files --------------------------------------------------------------------

sub configuration {
    my $is_none = 'it has no picture and no sound';

    $t->write_file('text.png', 'Lorem ipsum dolor sit amet');
    $t->write_file('half.png', substr $t->read_file('red.png'), 0, 40);
    $t->write_file('list.m3u8', "#EXTM3U\n#EXTINF:1,\n"
                                . "http://127.0.0.1:1/x.ts\n");

    my %wrong = (
        'none.png' => 'it is not there',
        'text.png' => 'libavformat cannot read it|in it can be decoded|'
                      . $is_none,
        'half.png' => 'cannot read it|can be decoded',
        'list.m3u8' => 'cannot read it|can be decoded|' . $is_none,
        'tmp' => 'it is not a regular file',
        '""' => 'has an empty path',
    );

    for my $file (sort keys %wrong) {
        my $text = $conf =~ s/slate red\.png/slate $file/r;
        my ($code, $output) = $t->nginx_t($text);

        isnt($code, 0, "slate $file: is refused");
        like($output, qr/"slate".*(?:$wrong{$file}).* in \S+:\d+$/m,
             'with directive, reason, file and line');
        unlike($output, qr/^\[\w+ @ /m, 'and nothing of libav beside it');
    }

    my ($code, $output) = $t->nginx_t($conf =~ s/(slate red\.png;)/$1 $1/r);

    isnt($code, 0, 'slate twice: is refused');
    like($output, qr/"slate" directive is duplicate in \S+:\d+/, 'and why');

    ($code) = $t->nginx_t($conf =~ s/slate gone\.png/slate off/r);
    is($code, 0, 'slate off');
}


# --- who ends it --------------------------------------------------------------

# Whatever publish_conflict says, and whichever worker is asked.
sub comes_back {
    my ($other) = @_;

    my $where = $other ? 'on another worker' : 'on the same worker';
    my $name = "back-$other";

    away("live/$name");

    my $before = grow("live/$name");
    my $c = client_on($workers[$other]);
    my $begin = time();

    $c->connect('live');
    is(($c->publish($name) || {})->{code}, 'NetStream.Publish.Start',
       "$where: a publisher has the stream of a slate at once");
    cmp_ok(time() - $begin, '<', 3, "$where: without being kept waiting");
    $c->set_chunk_size(4096);
    $c->send_tags($tags);

    ok($t->wait_for(sub { ended($name) }, 10, 'end of the slate'),
       "$where: the slate ends");

    my $p = $t->wait_for(sub {
        my $p = playlist("live/$name");

        return @{ dsn($p, 2) } >= 2 ? $p : 0;
    }, 10, 'segments of the publisher');

    is_deeply([ $p->changes_since($before) ], [],
              "$where: what was listed stays (HLS-12)");
    is_deeply(errors($p, "live/$name/source"), [], "$where: HLS and CMAF");
    is(discontinuities($p), 2, "$where: one discontinuity each (HLS-19)");
    is(scalar(() = slates("live/$name")), 1, "$where: one slate");

    my @want = frames($tags);
    my @got = map { samples("live/$name/source", $_) } @{ dsn($p, 2) };

    is_deeply(\@got, [ @want[0 .. $#got] ],
              "$where: the publisher's frames, byte-exact");

    # a second one is a second one again
    my $second = client_on($workers[!$other]);

    $second->connect('live');
    is(($second->publish($name) || {})->{code}, 'NetStream.Publish.BadName',
       "$where: which is refused to others then");
    $c->close();

    ok($t->wait_for(sub { slates("live/$name") == 2 }, 10, 'another slate'),
       "$where: and when it goes, a slate is there again");
}


# Before a segment of its own has shown what it is like.
sub goes_again {
    away('live/again');

    my $c = client_on($workers[0]);

    $c->connect('live');
    $c->publish('again');
    $c->set_chunk_size(4096);
    $c->send_tags([ grep { $_->{timestamp} < 500 } @$tags ]);
    $t->wait_for(sub { @{ dsn(playlist('live/again'), 2, 1) } }, 10,
                 'its segment');
    $c->stop('again');

    ok($t->wait_for(sub { slates('live/again') == 2 }, 10, 'a slate'),
       'a publisher that goes early: the slate of before');
}


# Another size asks for another slate.
sub changes {
    my $c = client_on($workers[0]);

    away('live/changes');

    $c->connect('live');
    $c->publish('changes');
    $c->set_chunk_size(4096);
    $c->send_tags($large);
    ok($t->wait_for(sub { grep { /480x270/ } made() }, 10, 'a slate'),
       'a publisher of another size: another slate');
    $c->close();

    my $p = $t->wait_for(sub {
        my $p = playlist('live/changes');

        return @{ dsn($p, 3) } ? $p : 0;
    }, 10, 'it');
    my ($segment) = @{ dsn($p, 3) };
    my $init = Test::Live::MP4->init(
        $t->get("/live/changes/source/$segment->{map}")->{body});

    is("$init->{width}x$init->{height}", '480x270', 'is what is served');
}


# --- what it is not -----------------------------------------------------------

# Nobody who publishes.
sub limit {
    my $app = 'limit';

    away('limit/one');

    my $metrics = $t->get('/metrics')->{body};
    my %value = map { /^(live_stream_\w+)\{[^}]*stream="one"[^}]*\} (\S+)$/m }
                split /\n/, $metrics;

    is($value{live_stream_up}, 0, 'live_stream_up: there is no publisher');
    is($value{live_stream_slate}, 1, 'live_stream_slate: but a slate');
    is($value{live_stream_publications_total}, 1, 'which is none');
    like($t->get('/status?application=limit')->{body}, qr/"slate":true/,
         'live_status says so');

    my $c = client_on($workers[1]);

    $c->connect($app);
    is(($c->publish('two') || {})->{code}, 'NetStream.Publish.Start',
       'a slate is none of max_publications');

    my $third = client_on($workers[1]);

    $third->connect($app);
    is(($third->publish('three') || {})->{code}, 'NetStream.Publish.Denied',
       'a publisher is');
    $c->close();

    ok($t->wait_for(sub {
        my $back = client_on($workers[0]);

        $back->connect($app);

        my $info = $back->publish('one') || {};

        $back->close();

        return $info->{code} eq 'NetStream.Publish.Start';
    }, 10, 'publisher'), 'and its stream is had when there is room');
}


# Who stands by goes on, and nothing comes between.
sub backup {
    my $first = client_on($workers[0]);

    $first->connect('backup');
    $first->publish('x');
    $first->set_chunk_size(4096);
    $first->send_tags($tags);
    made_for('320x180');

    my $second = client_on($workers[1]);

    $second->connect('backup');
    is(($second->publish('x') || {})->{code}, 'NetStream.Publish.Start',
       'a second publisher stands by');
    ok($t->wait_for(sub { $t->get('/metrics')->{body} =~
                          /^live_stream_publisher_standby\{.*"x"\} 1$/m }, 10,
                    'metric'), 'live_stream_publisher_standby');
    $second->set_chunk_size(4096);

    my @headers = grep { $_->{payload} =~ /\A[\x17\xaf]\x00/s } @$tags;

    $second->send_tags(\@headers);
    $first->close();
    select undef, undef, undef, 1;
    $second->send_tags($tags);

    my $p = $t->wait_for(sub {
        my $p = playlist('backup/x');

        return @{ dsn($p, 1) } >= 2 ? $p : 0;
    }, 10, 'the second one');

    is(discontinuities($p), 1, 'it goes on with one discontinuity');
    is(scalar(() = slates('backup/x')), 0, 'and no slate between');
    $second->close();
    ok($t->wait_for(sub { slates('backup/x') == 1 }, 15, 'a slate'),
       'which comes when nobody stands by');
}


# A file that is there no more: logged once, and all is as without.
sub without {
    for my $name (qw/ a b /) {
        my $c = client_on($workers[0]);

        $c->connect('gone');
        $c->publish($name);
        $c->set_chunk_size(4096);
        $c->send_tags($tags);
        ok($t->wait_for(sub {
            () = $t->log(qr/no slate can be made of ".*gone.png"/)
        }, 10, 'log line'), 'a file that is gone is in the log');
        $c->stop($name);
    }

    is(scalar(() = $t->log(qr/no slate can be made of .* it is not there/)), 1,
       'once, with the reason');

    my $api;

    ok($t->wait_for(sub {
           $api = $t->get('/streams/gone')->{body};
           return 2 == (() = $api =~ /"state":"away"/g);
       }, 10, 'both'), 'publishers are away');
    unlike($api, qr/"slate"/, 'and no slate is there');
}


# Who ends a stream wants no slate.
sub deleted {
    away('live/played');

    my $c = client_on($workers[0]);

    $c->connect('live');
    $c->publish('live');
    $c->set_chunk_size(4096);
    $c->send_tags($tags);
    ok($t->wait_for(sub { @{ dsn(playlist('live/live'), 0) } >= 2 }, 10,
                    'segments'), 'a publisher');

    for my $name (qw/ played live /) {
        is($t->get("/admin/$name", method => 'DELETE')->{status}, 204,
           "$name: the stream is ended");
        ok($t->wait_for(sub { playlist("live/$name")->{endlist} }, 10,
                        'ENDLIST'), "$name: which it is (HLS-14)");
    }

    ok(ended('played'), 'a slate ends then');
    is(scalar(() = slates('live/live')), 0, 'and none begins');
    $c->close();
}


# --- its worker ---------------------------------------------------------------

# The others have no slate, and the time goes on.
sub dies {
    away('short/dies', $workers[1]);
    grow('short/dies');
    kill 'KILL', $workers[1];

    my $p = $t->wait_for(sub {
        my $p = playlist('short/dies');

        return $p && $p->{endlist} ? $p : 0;
    }, 25, 'ENDLIST');

    ok($p, 'its worker dies: the stream ends (HLS-14)');
    is_deeply(errors($p, 'short/dies/source'), [],
              'with what was published (invariant 7)');
    is(discontinuities($p), 1, 'and no other slate');
    ok($t->wait_for(sub { $t->workers() == 2 }, 15, 'a new worker'),
       'a new worker is there');
    $t->allow_log(qr/worker process \d+ exited on signal 9/);
    @workers = $t->workers();
}


# The old worker goes on with it, until somebody comes to a new one.
sub reload {
    away('live/reload');
    away('removed/x');

    $t->write_file_expand('nginx.conf',
                          $conf =~ s/application removed \{ \}//r
                                =~ s/gone\.png/red.png/r);
    ok($t->reload(), 'a reload');

    my @old = @workers;

    @workers = $t->workers();
    grow('live/reload');

    ok($t->wait_for(sub {
        () = $t->log(qr{live stream "removed/x" has ended})
    }, 10, 'end'), 'one of an application that is gone does not');

    my $c = client_on($workers[0]);

    $c->connect('live');
    is(($c->publish('reload') || {})->{code}, 'NetStream.Publish.Start',
       'a publisher comes to a new worker');
    $c->set_chunk_size(4096);
    $c->send_tags($tags);
    ok($t->wait_for(sub { ended('reload') }, 10, 'end'),
       'and the slate of the old one ends');

    my $p = $t->wait_for(sub {
        my $p = playlist('live/reload');

        return @{ dsn($p, 2) } ? $p : 0;
    }, 10, 'a segment of the publisher');

    is_deeply(errors($p, 'live/reload/source'), [], 'HLS and CMAF');
    is(discontinuities($p), 2, 'one discontinuity each');
    $c->close();
}


# --- tools --------------------------------------------------------------------

sub make {
    my ($name) = @_;

    my ($code, $output) = $t->command(
        qw/ ffmpeg -nostdin -y -loglevel error -f lavfi
            -i color=c=red:size=64x64 -frames:v 1 /, $t->dir() . "/$name");

    die "cannot make $name: $output\n" if $code;
}


sub made { return $t->log(qr/a slate was made of/) }


# Each worker makes its own.
sub made_for {
    my ($size, $worker) = @_;

    $worker ||= $workers[0];

    ok($t->wait_for(sub { grep { /\] $worker#.*for $size,/ } made() }, 15,
                    "slate of $size"), "a slate of $size");
}


# Begins a stream, and lets its publisher go when there is a slate.
sub away {
    my ($stream, $worker) = @_;

    my ($app, $name) = split m{/}, $stream;

    $worker ||= $workers[0];

    my $c = client_on($worker);

    $c->connect($app);
    is(($c->publish($name) || {})->{code}, 'NetStream.Publish.Start',
       "$stream: publisher");
    $c->set_chunk_size(4096);
    $c->send_tags($tags);
    made_for('320x180', $worker);
    $c->stop($name);
    ok($t->wait_for(sub { slates($stream) }, 10, 'slate'),
       "$stream: it goes, and its slate begins");
}


sub slates {
    my ($stream) = @_;

    return $t->log(qr{its slate begins, stream "\Q$stream\E"});
}


sub ended {
    my ($name) = @_;

    return () = $t->log(qr{the slate ends, stream "\w+/\Q$name\E"});
}


# Waits for two more segments; the playlist before them.
sub grow {
    my ($stream) = @_;

    my $before = playlist($stream);

    ok($t->wait_for(sub {
        @{ playlist($stream)->{segments} } >= 2 + @{ $before->{segments} }
    }, 10, 'segments'), "$stream: the playlist grows");

    return $before;
}


sub client_on { return RTMP->on_worker($t, $_[0]) }


sub playlist {
    my ($stream) = @_;

    my $r = $t->get("/$stream/source/playlist.m3u8");

    return Test::Live::M3U8->parse($r->{body});
}


# Segments behind so many discontinuities; with a true argument also the one
# that is being made.
sub dsn {
    my ($p, $n, $open) = @_;

    my @segments = @{ $p->{segments} };

    push @segments, $p->{open} if $open && $p->{open};

    my $dsn = 0;

    return [ grep { $dsn += $_->{discontinuity} ? 1 : 0; $dsn == $n }
             @segments ];
}


sub discontinuities {
    my ($p) = @_;

    return scalar grep { $_->{discontinuity} } @{ $p->{segments} };
}


sub errors {
    my ($p, $base) = @_;

    my @errors = @{ $p->{errors} };
    my $before;

    for my $listed (@{ $p->{segments} }) {
        my $r = $t->get("/$base/$listed->{uri}");

        if ($listed->{gap}) {
            $before = undef;
            next;
        }

        my $segment = Test::Live::MP4->segment($r->{body});

        push @errors, @{ $segment->{errors} };
        push @errors, $before->join_errors($segment)
            if $before && !$listed->{discontinuity};
        $before = $segment;
    }

    return \@errors;
}


sub samples {
    my ($base, $segment) = @_;

    my $mp4 = Test::Live::MP4->segment(
        $t->get("/$base/$segment->{uri}")->{body});

    return map { md5_hex($_->{data}) } @{ $mp4->{samples} };
}


sub frames {
    my ($from) = @_;

    return map { md5_hex(substr $_->{payload}, 5) }
           grep { $_->{type} == 9 && $_->{payload} =~ /\A.\x01/s } @$from;
}
