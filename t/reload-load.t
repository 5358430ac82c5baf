#!/usr/bin/env perl

# Twenty reloads in a row under load: publishers on workers of many
# generations, players of each kind, requests that are parked and segments
# that are half sent at each of them (invariant 8).

# asan

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use JSON::PP qw/ decode_json /;
use POSIX ();
use Test::Live;
use Test::Live::Crawl::DASH;
use Test::Live::Crawl::HLS;
use Test::Live::Feed;
use Test::Live::Loop;
use Test::Live::M3U8;
use Test::Live::RTMP;
use Test::Live::Steps;
use Test::More;
use Time::HiRes qw/ time sleep /;

use constant { RELOADS => 20, STREAMS => 20, PARKED => 160 };

my $t = Test::Live->new();
my (%publishers, %players, @late, @half, %before);
my ($held, $woken, $answers) = (0, 0, 0);

# worker processes, of the first configuration and after each reload
my @workers = (2, (map { $_ % 5 == 0 ? 3 : $_ % 5 == 1 ? 1 : 2 } 1 .. RELOADS));

my $light = tags(seconds => 4, size => '160x90', fps => 15, gop => 15,
                 rate => 16000);
my $usual = tags(seconds => 4, size => '160x90', gop => 30);
my $heavy = tags(seconds => 4, size => '640x360', gop => 30, audio => 0);

configure($workers[0]);
$t->run();

# three of four at first, the others later and so on other workers
my @names = map { sprintf 'live/s%02d', $_ } 0 .. STREAMS - 1;
my @waiting = splice @names, STREAMS * 3 / 4;

publish('first', (map { $_ => $light } @names), 'live/s01' => $usual,
        'plain/p' => $usual, 'plain/fat' => $heavy);
$t->wait_for(sub { listed($_) >= 3 }, 20, "$_") for @names, 'plain/fat';

play('strict', \&strict_players);
play('light', \&light_players);
$t->wait_for(sub { -s $t->dir() . "/$_.begun" }, 10, "$_ players")
    for 'strict', 'light';

reload_once($_) for 1 .. RELOADS;
answers_of_before();

test_players();
test_publishers();
test_log();

done_testing();


sub configure {
    my ($workers) = @_;

    $t->write_file_expand('nginx.conf', <<"CONF");
%%TEST_GLOBALS%%
worker_processes $workers;
events { worker_connections 2048; }

live {
    zone 192m;
    segment 1s max=2s;
    window 8s;

    application live { part 250ms; }
    application plain { part 0; window 30s; }
}

stream {
    log_format live '\$live_app/\$live_name \$live_state';
    access_log %%DIR%%/stream.log live;

    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%
    log_format players '\$status \$body_bytes_sent \$pid \$live_hold \$request';
    access_log %%DIR%%/players.log players;

    add_header X-Worker \$pid always;
    add_header X-Hold \$live_hold always;

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        listen 127.0.0.1:%%PORT_8081%% sndbuf=4k;
        location /live/ { live_play live; }
        location /plain/ { live_play plain; }
        location = /streams { live_api live; }
        location = /metrics { live_metrics; }
    }
}
CONF
}


sub tags {
    return [ grep { $_->{type} != 18 }
             @{ Test::Live::RTMP::flv_tags($t->clip(@_)) } ];
}


# --- publishers ---------------------------------------------------------------

# A process that publishes streams until it is ended, or loses one.
sub publish {
    my ($what, %streams) = @_;

    my $pid = fork() // die "cannot fork: $!\n";

    return $publishers{$what} = $pid if $pid;

    eval {
        my @feeds;

        for my $stream (sort keys %streams) {
            my ($app, $name) = split m{/}, $stream;

            push @feeds, Test::Live::Feed->new(
                Test::Live::RTMP->start(port => $t->port(1935), app => $app,
                                        name => $name), $streams{$stream});
        }

        while (1) {
            $_->send_due() || die $_->client()->error() . "\n" for @feeds;
            sleep 0.02;
        }
    };

    print STDERR "publishers: $@";
    POSIX::_exit(1);
}


sub test_publishers {
    for my $what (sort keys %publishers) {
        is(waitpid($publishers{$what}, POSIX::WNOHANG()), 0,
           "the publishers that came $what are there as before");
    }

    is($t->read_file('stream.log'), '', 'and no session of theirs has ended');

    kill 'KILL', values %publishers;
    waitpid $_, 0 for values %publishers;
    %publishers = ();
}


END {
    my $code = $?;
    kill 'KILL', values %publishers, values %players
        if $t && $t->{owner} == $$;
    $? = $code;
}


# --- players ------------------------------------------------------------------

# A process that plays until there is a file "stop", and writes what was wrong.
sub play {
    my ($what, $sub) = @_;

    my $pid = fork() // die "cannot fork: $!\n";

    return $players{$what} = $pid if $pid;

    my @found = eval { $sub->($what) };

    $t->write_file("$what.found", join '', map { "$_\n" } @found, $@ || ());
    POSIX::_exit(0);
}


sub begun { $t->write_file("$_[0].begun", 'yes') }

sub is_over { return -e $t->dir() . '/stop' }


# Of HLS, of low-latency HLS, and of DASH, who check all that they get.
sub strict_players {
    my ($what) = @_;

    my $loop = Test::Live::Loop->new(port => $t->port(8080));
    my %hls = map { $_ => Test::Live::Crawl::HLS->new(loop => $loop,
                                                      base => "/$_") }
              'live/s01', 'plain/p';
    my %dash = map { $_ => Test::Live::Crawl::DASH->new(loop => $loop,
                                                        base => "/$_") }
               'live/s01', 'plain/p';
    my @all = (values %hls, values %dash);

    $_->start() for @all;
    $loop->run(sub { 0 }, 1);
    begun($what);
    $loop->run(\&is_over, 200);
    $_->stop() for @all;

    my @found;

    for my $stream (sort keys %hls) {
        my $hls = $hls{$stream}->check();
        my $dash = $dash{$stream}->check(hls => $hls->{tracks});

        push @found, map { "$stream: $_" } @{ $hls->{violations} },
                                           @{ $dash->{violations} };

        for my $counts ($hls->{counts}, $dash->{counts}) {
            push @found, map { "counted $stream $_ $counts->{$_}" }
                         sort keys %$counts;
        }
    }

    return @found;
}


# All streams: each segment of each playlist once, and one after another.
sub light_players {
    my ($what) = @_;

    my (%next, @found);
    my $n = 0;

    until (is_over()) {
        my $begin = time();

        for my $stream (sort(@names), 'plain/p') {
            for my $base (map { "/$stream/$_" } qw/ source audio /) {
                push @found, look($base, \%next, \$n);
            }
        }

        begun($what);
        sleep 0.05 while time() < $begin + 0.8 && !is_over();
    }

    return (@found, "counted segments $n");
}


sub look {
    my ($base, $next, $n) = @_;

    my $r = $t->get("$base/playlist.m3u8");

    return "$base: $r->{status} $r->{error}" if $r->{status} != 200;

    my $p = Test::Live::M3U8->parse($r->{body});
    my @found = map { "$base: $_" } @{ $p->{errors} };

    for my $s (@{ $p->{segments} }) {
        $next->{$base} //= $s->{msn};
        next if $s->{msn} < $next->{$base};

        push @found, "$base: $s->{msn} follows " . ($next->{$base} - 1)
            if $s->{msn} != $next->{$base};
        push @found, "$base: a hole at $s->{msn}"
            if $s->{gap} || $s->{discontinuity};

        my $r = $t->get("$base/$s->{uri}");

        push @found, "$base/$s->{uri}: $r->{status} $r->{error}"
            if $r->{status} != 200 || $r->{truncated};

        $next->{$base} = $s->{msn} + 1;
        $$n++;
    }

    return @found;
}


sub test_players {
    $t->write_file('stop', 'yes');

    for my $what (sort keys %players) {
        ok($t->wait_for(sub {
            waitpid($players{$what}, POSIX::WNOHANG()) != 0
        }, 40, "end of $what players"), "$what players: ended");
        delete $players{$what};

        my @lines = split /\n/, $t->read_file("$what.found") // 'died';
        my @counts = grep { /^counted/ } @lines;
        my @found = grep { !/^counted/ } @lines;

        note("$what players: $_") for @counts;
        is(scalar @found, 0, "$what players: no error and no gap")
            or diag(join "\n", @found[0 .. ($#found < 30 ? $#found : 30)]);

        my ($n) = map { /segments (\d+)$/ ? $1 : () } @counts;

        cmp_ok($n // 0, '>=', 20, "$what players: segments were played");
    }

    is(scalar @late, 0, 'parked requests: all were answered with 200 and '
                        . 'what they had asked for')
        or diag(join "\n", @late[0 .. ($#late < 30 ? $#late : 30)]);
    cmp_ok($held, '>=', RELOADS * PARKED / 4,
           "$held of $answers were parked in a worker that was told to quit");
    is(scalar @half, 0, 'half-sent segments: all ended whole')
        or diag(join "\n", @half);
    cmp_ok($woken, '>=', RELOADS,
           "$woken requests were parked in a worker and woken by an older one");
}


# --- reloads ------------------------------------------------------------------

sub edge {
    my ($stream) = @_;

    my $base = "/$stream/source";
    my $r = $t->get("$base/playlist.m3u8");

    return Test::Live::Steps::edge_of($r, $base);
}


# Also before there is anything.
sub listed {
    my $r = $t->get("/$_[0]/source/playlist.m3u8?begun");

    return $r->{status} == 200 ? scalar(() = $r->{body} =~ /^#EXTINF/mg) : 0;
}


# Requests for what is more than a segment away, and for the next part.
sub park {
    my ($n, @streams) = @_;

    my @asked;

    for my $stream (@streams) {
        my $e = edge($stream);
        my $next = $e->{msn} + 1;
        my ($hint) = map { $_->{URI} } @{ $e->{playlist}{hints} };

        push @late, "$stream: $e->{status}" if $e->{status} != 200;

        for my $i (1 .. $n / @streams) {
            my $q = $i == 1 ? ask($t, "$e->{base}/$hint")
                            : ask($t, "$e->{path}?_HLS_msn=$next");

            $q->{msn} = $next if $i > 1;
            push @asked, $q;
        }
    }

    return @asked;
}


# The answer of a parked request: its worker when it was parked there.
sub parked_in {
    my ($q) = @_;

    my $r = answer($q, 20);

    $answers++;

    if ($r->{status} != 200 || $r->{truncated}) {
        push @late, "$q->{path}: $r->{status} $r->{error}";
        return 0;
    }

    if ($q->{msn}) {
        my $e = Test::Live::Steps::edge_of($r, '');

        push @late, "$q->{path}: without it" if $e->{msn} <= $q->{msn};
    }

    return $r->{headers}{'x-hold'} ? $r->{headers}{'x-worker'} : 0;
}


# A reader that has taken a part of a segment and no more.
sub half_sent {
    my ($s) = @{ edge('plain/fat')->{playlist}{segments} }[-1];
    my $q = ask($t, "/plain/fat/source/$s->{uri}", port => $t->port(8081),
                rcvbuf => 4096);

    push @half, "$q->{path}: nothing came"
        unless more($q, sub { length $_[0] > 4000 });

    return $q;
}


sub whole {
    my ($q) = @_;

    my $sent = length Test::Live::Steps::body_so_far($q);
    my $r = answer($q, 20);
    my $again = $t->get($q->{path});

    # what is on its way is in no buffer of ours
    push @half, "$q->{path}: $sent of " . length($r->{body}) . ' had come'
        if $sent > length($r->{body}) - 30000;
    push @half, "$q->{path}: $r->{status} $r->{error}"
        if $r->{status} != 200 || $r->{truncated};
    push @half, "$q->{path}: again $again->{status}"
        if $again->{status} != 200 || $again->{body} ne $r->{body};
}


sub reload_once {
    my ($n) = @_;

    my $what = "reload $n to $workers[$n] workers";

    if (@waiting && $n % 3 == 0) {
        my $name = shift @waiting;

        publish("before reload $n", $name => $light);
        $t->wait_for(sub { listed($name) >= 2 }, 20, "segments of $name");
        push @names, $name;
    }

    my @streams = map { $names[($n * 7 + $_ * 3) % @names] } 0 .. 3;
    my $slow = half_sent();
    my @parked = park(PARKED, @streams);
    my %old = map { $_ => 1 } $t->workers(1);

    configure($workers[$n]);
    ok($t->reload($n % 5 == 0 ? 'nginx -s' : undef), "$what: done");

    my %new = map { $_ => 1 } $t->workers();

    is(keys %new, $workers[$n], "$what: so many take connections");

    my @fresh = park(8, @streams);

    # those of before may have been parked over two reloads
    answers_of_before();
    %before = (parked => \@parked, fresh => \@fresh, slow => $slow,
               old => \%old, new => \%new);

    test_api($what, %new);
}


sub answers_of_before {
    return unless %before;

    $held += grep { $before{old}{$_} } map { parked_in($_) }
             @{ $before{parked} };
    $woken += grep { $before{new}{$_} } map { parked_in($_) }
              @{ $before{fresh} };
    whole($before{slow});
}


# What each new worker says that there is.
sub test_api {
    my ($what, %new) = @_;

    for ([ '/streams', \&api_errors ], [ '/metrics', \&metrics_errors ]) {
        my ($url, $errors) = @$_;
        my (%seen, @wrong);

        $t->wait_for(sub {
            my $r = $t->get($url);
            my $worker = $r->{headers}{'x-worker'} // 0;

            $seen{$worker}++ or push @wrong, $errors->($worker, $r);

            return !grep { !$seen{$_} } keys %new;
        }, 10, "answers of all workers to $url");

        is_deeply([ grep { !$seen{$_} } keys %new ], [],
                  "$what: all answer to $url");
        is_deeply(\@wrong, [], "$what: and each has all streams as live");
    }
}


sub api_errors {
    my ($worker, $r) = @_;

    return "$worker: $r->{status}" if $r->{status} != 200;

    my %live = map { ("$_->{application}/$_->{name}" => 1) }
               grep { $_->{state} eq 'live' }
               @{ decode_json($r->{body})->{streams} };

    return map { "$worker: no $_" } grep { !$live{$_} } @names;
}


sub metrics_errors {
    my ($worker, $r) = @_;

    my %live = map { ($_ => 1) }
               map { m{^live_stream_up\{application="(.*)",stream="(.*)"\} 1$}
                     ? "$1/$2" : () } split /\n/, $r->{body};

    return map { "$worker: no metrics of $_" } grep { !$live{$_} } @names;
}


# --- the end ------------------------------------------------------------------

sub test_log {
    my %status;

    for (split /\n/, $t->read_file('players.log')) {
        my ($status, $bytes, $pid, $hold, $request) = split / /, $_, 5;

        $status{$status}++ unless $request =~ /\?begun/;
    }

    note(map { "$status{$_} answers of $_\n" } sort keys %status);

    # 499: held when its player ended
    is_deeply([ grep { !/^(?:200|499)$/ } keys %status ], [],
              'nobody saw an error');

    ok($t->wait_for(sub { $t->workers(1) == $t->workers() }, 20, 'exit'),
       'without their publishers all old workers exit');
    is(scalar(() = $t->log(qr/exited on signal|lost its worker/)), 0,
       'no worker has died');
}
