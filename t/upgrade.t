#!/usr/bin/env perl

# The binary upgrade (USR2, WINCH, QUIT), its way back (HUP), and a stop and
# start: encoders come again, and no URL of before ever has other bytes
# (invariant 3).

# asan
# waits

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use Test::Live;
use Test::Live::Feed;
use Test::Live::M3U8;
use Test::Live::RTMP;
use Test::More;
use Time::HiRes qw/ time sleep /;

use constant REQUEST => 'NetConnection.Connect.ReconnectRequest';

my $t = Test::Live->new(daemon => 1);

my $conf = <<'CONF';
%%TEST_GLOBALS%%
env LD_PRELOAD;
env ASAN_OPTIONS;
env UBSAN_OPTIONS;
worker_processes 2;
worker_shutdown_timeout 3s;
events { }

live {
    zone 64m;
    STATE
    segment 1s max=2s;
    part 250ms;
    window 20s;
    resume 1h;

    application live { }
}

stream { server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } }

http {
    %%TEST_GLOBALS_HTTP%%
    add_header X-Worker $pid always;

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
    }
}
CONF

my $tags = Test::Live::RTMP::flv_tags($t->clip(seconds => 4, gop => 30,
                                               size => '160x90'));

# who can be asked to move, and who cannot
my %caps = (able => 1, also => 1, plain => 0, other => 0);
my @names = sort keys %caps;
my @tracks = map { ("$_/source", "$_/audio") } @names;

# what URLs have given, and the epochs that streams have had
my (%copies, %epochs, %publishers);

for my $state ('', 'state_path %%DIR%%/state;') {
    my $with = $state ? 'with' : 'without';

    begin("$with state_path", $state);
    upgrade("upgrade $with state_path", $state);
    restart("restart $with state_path", $state);
    back("way back") unless $state;
    finish();
}

done_testing();


# --- publishers ---------------------------------------------------------------

# Encoders that retry for ever, and do what the server asks of them if they can.
sub go {
    my ($until, $seconds) = @_;

    my $end = time() + ($seconds // 20);
    my $look = 0;

    while (time() < $end) {
        encode($_) for values %publishers;

        if (time() > $look) {
            my $result = $until->();

            return $result if $result;
            $look = time() + 0.1;
        }

        sleep 0.01;
    }

    return 0;
}


sub encode {
    my ($p) = @_;

    if ($p->{feed}) {
        my $there = $p->{feed}->send_due();
        my $asked = $p->{caps} && $p->{feed}->status(REQUEST);

        return if $there && !$asked;

        $p->{asked}++ if $asked;
        $p->{lost}++ if !$there;

        # the new connection before the end of the old one
        my $feed = delete $p->{feed};
        connect_again($p);
        $feed->client()->close();

        return;
    }

    connect_again($p) if time() > $p->{retry};
}


sub connect_again {
    my ($p) = @_;

    $p->{retry} = time() + 0.2;

    my $client = eval {
        my $c = Test::Live::RTMP->new(port => $t->port(1935), timeout => 2);

        $c->handshake() or die "handshake\n";
        $c->connect('live', $p->{caps} ? (capsEx => 1) : ())
            or die "connect\n";

        my $info = $c->publish($p->{name}) or die "publish\n";

        $p->{refused} = $info->{description}
            if $info->{code} ne 'NetStream.Publish.Start';
        $c->set_chunk_size(4096);
        $info->{code} eq 'NetStream.Publish.Start' ? $c : undef;
    } or return;

    $p->{feed} = Test::Live::Feed->new($client, $tags);
}


sub test_publishers {
    my ($what, %want) = @_;

    for my $name (@names) {
        my $p = $publishers{$name};

        is($p->{refused}, undef, "$what: $name was not refused");
        is($p->{lost} ? 'lost' : $p->{asked} ? 'asked' : 'stays',
           $caps{$name} ? $want{able} : $want{plain}, "$what: $name");
        @$p{qw/ lost asked refused /} = ();
    }
}


# --- players ------------------------------------------------------------------

sub playlist {
    my ($track) = @_;

    my $r = $t->get("/live/$track/playlist.m3u8", timeout => 0.5);

    return $r->{status} == 200 ? Test::Live::M3U8->parse($r->{body}) : undef;
}


sub epoch {
    my ($p) = @_;

    return $p && @{ $p->{segments} }
           && $p->{segments}[-1]{uri} =~ /seg-(\w+)-/ ? $1 : '';
}


# All streams have that many segments since their last publication; the sub
# tells which epochs count.
sub streams_go_on {
    my ($what, $segments, $counts) = @_;

    ok(go(sub {
        for my $track (@tracks) {
            my $p = playlist($track) or return 0;
            my @s = @{ $p->{segments} };

            @s >= $segments && $counts->(epoch($p), $track, $p) or return 0;
        }

        return 1;
    }, 30), "$what: all streams are there");

    for my $track (@tracks) {
        my $p = playlist($track);

        is_deeply($p->{errors}, [], "$what: $track is valid");
        $epochs{ epoch($p) } = 1;
        remember($track, $p);
    }
}


sub is_new { return !$epochs{ $_[0] } }


sub remember {
    my ($track, $p) = @_;

    my %maps = map { ($_->{map} => 1) } @{ $p->{segments} };

    for my $uri (keys %maps, map { ($_->{uri}, map { $_->{URI} || () }
                                               @{ $_->{parts} }) }
                             grep { !$_->{gap} } @{ $p->{segments} })
    {
        my $url = "/live/$track/$uri";
        my $r = $t->get($url);

        $copies{$url} //= md5_hex($r->{body}) if $r->{status} == 200;
    }
}


# The URLs of all that was ever there.
sub test_copies {
    my ($what) = @_;

    my (@wrong, %n);

    for my $url (sort keys %copies) {
        my $r = $t->get($url);

        $n{$r->{status}}++;
        push @wrong, "$url: $r->{status}"
            if $r->{status} != 404
               && ($r->{status} != 200 || md5_hex($r->{body}) ne $copies{$url});
        go(sub { 1 });
    }

    is_deeply(\@wrong, [], "$what: no URL has other bytes (invariant 3)");
    note("$what: ", map { " $_: $n{$_}" } sort keys %n);
}


sub last_numbers {
    return map { my $p = playlist($_); ($_ => $p->{segments}[-1]{msn}) }
           @tracks;
}


# --- what is done to nginx ----------------------------------------------------

sub begin {
    my ($what, $state) = @_;

    $t->write_file_expand('nginx.conf', $conf =~ s/STATE/$state/r);
    $t->run();
    %publishers = map { ($_ => { name => $_, caps => $caps{$_}, retry => 0 }) }
                  @names;
    streams_go_on("$what: begin", 3, \&is_new);
}


sub is_gone { return !grep { $t->is_alive($_) } @_ }


# The master of the new program.
sub new_binary {
    my ($what) = @_;

    my $old = $t->master();

    kill 'USR2', $old;

    ok(go(sub {
        my $pid = $t->pid_file();

        return $pid && $pid != $old && $t->children_of($pid) >= 2;
    }), "$what: USR2, another nginx has begun");

    is($t->pid_file('nginx.pid.oldbin'), $old, "$what: beside the old one");
    ok(go(sub { $t->workers() == 2 }), "$what: whose workers are there");

    return $t->pid_file();
}


sub upgrade {
    my ($what, $state) = @_;

    my $old = $t->master();
    my @workers = $t->workers();
    my $new = new_binary($what);

    remember($_, playlist($_) || next) for @tracks;

    my %before = last_numbers_of(@workers);

    kill 'WINCH', $old;
    ok(go(sub { is_gone(@workers) }), "$what: WINCH, old workers exit");
    ok($t->is_alive($old), "$what: and their master waits");
    streams_go_on("$what: WINCH", 2, \&is_new);
    test_publishers("$what: WINCH", able => 'asked', plain => 'lost');
    test_numbers("$what: WINCH", $state, \%before);
    test_copies("$what: WINCH");

    kill 'QUIT', $old;
    ok(go(sub { is_gone($old) }), "$what: QUIT, the old master exits");
    $t->adopt();
    is($t->master(), $new, "$what: the new one has the pid file");
    is($t->pid_file('nginx.pid.oldbin'), undef, "$what: and no other is there");
    test_publishers("$what: QUIT", able => 'stays', plain => 'stays');
    ok($t->reload(), "$what: it can be reloaded");
    go(sub { $t->workers(1) == $t->workers() });
    @$_{qw/ lost asked refused /} = () for values %publishers;
}


# What certain workers say last.
sub last_numbers_of {
    my (@workers) = @_;

    my %is = map { $_ => 1 } @workers;
    my %numbers;

    go(sub {
        for my $track (grep { !$numbers{$_} } @tracks) {
            my $r = $t->get("/live/$track/playlist.m3u8");

            $numbers{$track} = Test::Live::M3U8->parse($r->{body})
                                   ->{segments}[-1]{msn}
                if $is{ $r->{headers}{'x-worker'} // 0 }
                   && $r->{status} == 200;
        }

        return keys %numbers == @tracks;
    });

    return %numbers;
}


# With a state they go on; each begins with 1 otherwise.
sub test_numbers {
    my ($what, $state, $before) = @_;

    for my $track (@tracks) {
        my $first = playlist($track)->{segments}[0]{msn};

        if ($state) {
            cmp_ok($first, '>', $before->{$track},
                   "$what: the numbers of $track go on");
        } else {
            is($first, 1, "$what: $track begins with 1");
        }
    }
}


sub restart {
    my ($what, $state) = @_;

    remember($_, playlist($_)) for @tracks;

    my %before = last_numbers();
    my @pids = ($t->master(), $t->workers(1));

    ok($t->stop('TERM'), "$what: nginx stops");
    ok(is_gone(@pids), "$what: all of it");
    ok(go(sub { 4 == grep { $_->{lost} } values %publishers }),
       "$what: encoders are without it");
    $t->run();

    streams_go_on($what, 2, \&is_new);
    test_publishers($what, able => 'lost', plain => 'lost');
    test_numbers($what, $state, \%before);
    test_copies($what);
}


# A new program that is not wanted after all.
sub back {
    my ($what) = @_;

    my $old = $t->master();
    my @workers = $t->workers();
    my %was = map { ($_ => epoch(playlist($_))) } @tracks;
    my %last = last_numbers();
    my $new = new_binary($what);
    my @others = $t->children_of($new);

    kill 'WINCH', $old;
    ok(go(sub { is_gone(@workers) }), "$what: old workers exit");
    streams_go_on("$what: the new nginx", 2, \&is_new);

    kill 'HUP', $old;
    ok(go(sub { $t->workers() == 2 }), "$what: HUP, the old one has workers");
    kill 'QUIT', $new;
    ok(go(sub { is_gone($new, @others) }), "$what: QUIT, the new one exits");
    ok(go(sub { ($t->pid_file() // 0) == $old }), "$what: all is as before");

    # what the old zone has goes on where it was
    streams_go_on("$what: the old nginx", 4, sub {
        my ($epoch, $track, $p) = @_;

        return $epoch eq $was{$track}
               && $p->{segments}[-1]{msn} >= $last{$track} + 4;
    });
    test_copies($what);
}


sub finish {
    $_->{feed} && $_->{feed}->client()->close() for values %publishers;
    %publishers = ();

    my @pids = ($t->master(), $t->workers(1));

    ok($t->stop('TERM'), 'nginx stops');
    ok(is_gone(@pids), 'and leaves nothing');
}
