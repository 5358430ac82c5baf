#!/usr/bin/env perl

# When a part is published, how long it is, what fills a hole, and what becomes
# of parts when workers die or are replaced (HLS-50 to HLS-53, CMAF-14,
# invariants 2, 3, 7 and 8).

# asan

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use IO::Socket::INET;
use List::Util qw/ max min sum0 /;
use Test::Live;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::Live::RTMP;
use Test::Live::Steps;
use Test::More;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 128m;
    segment 2s max=3s;
    window 60s;
    resume 1h;
    publish_timeout 1h;
    publish_stall 1h;

    application p200 { part 200ms; }
    application p100 { part 100ms; }
    application long { segment 4s; part 500ms; }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%
    add_header X-Pid $pid always;

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /p200/ { live_play p200; }
        location /p100/ { live_play p100; }
        location /long/ { live_play long; }
    }
}
CONF

my ($VIDEO, $AUDIO) = (9, 8);

# the MD5 of everything that was ever fetched, by URL
my %md5;
my @changed;

$t->run();

test_last_frame();
test_audio_waits();
test_audio_first();
test_audio_gathers();
test_hole('1.3', 1300);
test_hole('3', 3000);
test_irregular();
test_targets();
test_drift();
test_reload();
test_death();

is_deeply(\@changed, [], 'no URL ever had two contents (invariants 2, 3)');
cmp_ok(scalar keys %md5, '>', 50, 'of those that were compared');

done_testing();


# --- helpers ------------------------------------------------------------------

sub playlist {
    my ($url) = @_;

    my $r = $t->get("$url/playlist.m3u8");

    return $r->{status} == 200 ? Test::Live::M3U8->parse($r->{body}) : undef;
}


# The playlist after the publisher has gone: nothing is being made any more.
sub ended {
    my ($url) = @_;

    return $t->wait_for(sub {
        my $p = playlist($url);
        return $p && !@{ $p->{hints} } ? $p : 0;
    }, 10, "the end of $url");
}


# The parts that a playlist lists, with the MSN of each.
sub parts {
    my ($p) = @_;

    return map { my $s = $_; map { +{ %$_, msn => $s->{msn} } }
                             @{ $s->{parts} } }
           @{ $p->{segments} }, $p->{open};
}


sub seconds { return Test::Live::M3U8::nanos($_[0]) / 1e9 }


# Where what is listed ends, Unix time.
sub listed_until {
    my ($p) = @_;

    my ($last) = reverse @{ $p->{segments} };
    my @open = @{ $p->{open}{parts} };
    my $at = @open ? $p->{open}{pdt} : $last->{pdt} + $last->{duration};

    return $at + sum0(map { seconds($_->{DURATION}) } @open);
}


# A part that is listed stays what it is.
sub part_errors {
    my ($p, $known) = @_;

    my @errors;

    for my $part (parts($p)) {
        my $is = join ' ', map { "$_=$part->{$_}" } sort keys %$part;

        push @errors, "$known->{ $part->{URI} } became $is"
            if ($known->{ $part->{URI} } //= $is) ne $is;
    }

    return @errors;
}


# A file, whose content is remembered.
sub fetch {
    my ($url) = @_;

    my $r = $t->get($url);

    if ($r->{status} == 200) {
        my $md5 = md5_hex($r->{body});

        push @changed, $url if ($md5{$url} //= $md5) ne $md5;
    }

    return $r;
}


# Of each segment of which all parts are listed, the parts are the segment
# (HLS-52): { uri => [ bodies of parts that are no gaps ] }.
sub fetch_parts {
    my ($url, $p) = @_;

    my (%bodies, @wrong);

    for my $segment (@{ $p->{segments} }, $p->{open}) {
        my @bodies;

        for my $part (@{ $segment->{parts} }) {
            my $r = fetch("$url/$part->{URI}");

            if ($part->{GAP}) {
                push @wrong, "$part->{URI} is a GAP and answers $r->{status}"
                    if $r->{status} != 404;
                next;
            }

            push @wrong, "$part->{URI}: $r->{status}" if $r->{status} != 200;
            push @bodies, $r->{body};
        }

        $bodies{ $segment->{msn} } = \@bodies;

        next unless defined $segment->{uri} && @bodies;

        my $whole = fetch("$url/$segment->{uri}");

        push @wrong, "$segment->{uri} is not its parts"
            if $whole->{body} ne join '', @bodies;
    }

    return (\%bodies, @wrong);
}


sub is_frame {
    my ($tag, $type) = @_;

    return $tag->{type} == $type && ord(substr $tag->{payload}, 1, 1) == 1;
}


sub tags { return Test::Live::RTMP::flv_tags($t->clip(@_)) }


# A publisher that has sent what comes before the first frame, and its frames.
sub publisher {
    my ($url, $tags) = @_;

    my $p = Test::Live::Steps->publish($t, $url, tags => $tags);
    my @frames = @$tags[$p->{next} .. $#$tags];

    return ($p, grep { is_frame($_, $VIDEO) || is_frame($_, $AUDIO) } @frames);
}


# --- when a part is published -------------------------------------------------

# Five frames make 200 ms.  Nothing is sent behind the last one of a part.
sub test_last_frame {
    my ($p, @frames) = publisher('p200/last',
                                 tags(fps => 25, gop => 50, seconds => 5,
                                      audio => 0));
    my $url = '/p200/last/source';
    my (@early, @late, @wrong, %known);

    for my $n (1 .. 110) {
        $p->{client}->send_tags([ $frames[$n - 1] ]) or last;

        my $want = int $n / 5;

        # whether the first segment ends there is for the next frame to tell,
        # no segment before has shown it
        $want-- if $n == 50;

        my $playlist;

        if ($n < 5) {
            $p->sync();
            next;
        }

        if ($n % 5 && $n != 51) {
            $p->sync();
            $playlist = playlist($url);
            push @early, "$n frames: " . parts($playlist)
                if parts($playlist) > $want;

        } else {
            $t->poll(sub {
                $playlist = playlist($url);
                return $playlist && parts($playlist) >= $want;
            }, 10);
        }

        push @late, "$n frames: " . parts($playlist)
            if parts($playlist) < $want;
        push @wrong, @{ $playlist->{errors} }, part_errors($playlist, \%known);

        # also right behind a segment (HLS-53)
        push @wrong, "$n frames: hints " . @{ $playlist->{hints} }
            if @{ $playlist->{hints} } != 1;
    }

    is_deeply(\@late, [], 'a part is listed when its last frame has arrived');
    is_deeply(\@early, [], 'and not before');
    is_deeply(\@wrong, [], 'by the rules, with one hint, and stays as it is '
                           . '(HLS-50 to HLS-53)');

    my ($bodies, @errors) = fetch_parts($url, playlist($url));

    is_deeply(\@errors, [], 'the parts of a segment are the segment (HLS-52)');
    is(sum0(map { scalar @{ Test::Live::MP4->segment($_)->{samples} } }
            map { @$_ } values %$bodies), 110, 'with all frames');
    $p->stop();
}


# Sound that is ahead is listed as far as pictures have come: a segment could
# begin behind them.
sub test_audio_waits {
    my ($p, @frames) = publisher('p200/ahead', tags(seconds => 6, gop => 60));
    my @video = grep { $_->{type} == $VIDEO } @frames;
    my @audio = grep { $_->{type} == $AUDIO } @frames;
    my @wrong;

    for my $ms (1000, 1900, 2700, 4100) {
        $p->{client}->send_tags([ grep { $_->{timestamp} < $ms } @video ]);
        $p->{client}->send_tags([ grep { $_->{timestamp} < $ms + 1500 }
                                  @audio ]);
        @$_ = grep { $_->{timestamp} >= $ms + ($_->{type} == $AUDIO ? 1500
                                                                    : 0) } @$_
            for \@audio, \@video;
        $p->sync();

        my ($v, $a);

        $t->poll(sub {
            ($v, $a) = map { playlist("/p200/ahead/$_") } qw/ source audio /;
            return $v && $a && listed_until($v) - listed_until($a) < 0.22;
        }, 10);

        my ($start) = $v->{segments}[0] || $v->{open};
        my $came = $start->{pdt} + $ms / 1000;
        my ($until, $sound) = (listed_until($v), listed_until($a));

        push @wrong, @{ $v->{errors} }, @{ $a->{errors} };
        push @wrong, "$ms: sound until $sound, pictures have come to $came"
            if $sound > $came + 1 / 30 + 0.022;
        push @wrong, "$ms: sound until $sound, pictures until $until"
            if $until - $sound >= 0.22;
    }

    is_deeply(\@wrong, [], 'parts of audio are as far as video, no further');
    $p->stop();
}


# More sound than one waits for comes before the first picture: it makes the
# first segment, and no number is used twice (invariant 3).
sub test_audio_first {
    my ($p, @frames) = publisher('p200/first', tags(seconds => 8, gop => 60));
    my @first = grep { $_->{type} == $AUDIO && $_->{timestamp} < 3500 }
                @frames;
    my %sent = map { $_ => 1 } @first;
    my (%known, @wrong);

    $p->{client}->send_tags(\@first);
    $p->sync();

    for my $n (0, 1, 2, 3) {
        $p->{client}->send_tags([ grep { !$sent{$_}
                                         && int($_->{timestamp} / 2000) == $n }
                                  @frames ]);
        $p->sync();

        for my $rendition (qw/ source audio /) {
            my $playlist = playlist("/p200/first/$rendition") or next;

            push @wrong, @{ $playlist->{errors} },
                part_errors($playlist, $known{$rendition} ||= {});

            my (undef, @errors) = fetch_parts("/p200/first/$rendition",
                                              $playlist);

            push @wrong, @errors;
        }
    }

    is_deeply(\@wrong, [], 'sound long before the first picture: by the rules');
    cmp_ok(playlist("/p200/first/$_")->last_msn(), '>=', 2,
           "sound long before the first picture: $_ goes on")
        for qw/ source audio /;
    $p->stop();
}


# Pictures stop: sound gathers, and belongs to parts of the usual length when
# it is clear to which segment.
sub test_audio_gathers {
    my ($p, @frames) = publisher('p200/gather', tags(seconds => 6, gop => 60));

    my @sent = grep { $_->{type} == $AUDIO || $_->{timestamp} < 2100
                      || $_->{timestamp} > 4050 } @frames;

    $p->{client}->send_tags(\@sent);
    $p->sync();
    $p->{client}->command('deleteStream', undef, $p->{client}{msid});

    is(($p->{client}->status() || {})->{code}, 'NetStream.Unpublish.Success',
       'two seconds without a picture: the publication goes on to its end');
    $p->{client}->close();

    my %got;

    for my $rendition (qw/ source audio /) {
        my $playlist = ended("/p200/gather/$rendition");
        my (undef, @wrong) = fetch_parts("/p200/gather/$rendition", $playlist);

        is_deeply([ @{ $playlist->{errors} }, @wrong ], [],
                  "two seconds without a picture, $rendition: by the rules "
                  . '(HLS-50, HLS-51, HLS-52)');

        $got{$rendition} = [
            map { md5_hex($_->{data}) }
            map { @{ Test::Live::MP4->segment(
                         fetch("/p200/gather/$rendition/$_->{uri}")->{body}
                     )->{samples} } }
            grep { !$_->{gap} } @{ $playlist->{segments} } ];
    }

    my @audio = map { md5_hex(substr $_->{payload}, 2) }
                grep { $_->{type} == $AUDIO } @sent;

    # it may begin with the first picture
    cmp_ok(@audio - @{ $got{audio} }, '<=', 3, 'and all sound is there');
    is_deeply($got{audio}, [ @audio[@audio - @{ $got{audio} } .. $#audio] ],
              'byte for byte (invariant 2)');
}


# --- holes --------------------------------------------------------------------

sub test_hole {
    my ($name, $ms) = @_;

    my $what = "a hole of $name s";
    my $url = "long/hole$ms";
    my ($p, @frames) = publisher($url, tags(seconds => 12, gop => 60));
    my (%known, %errors);

    for my $step (1 .. 24) {
        my @now = grep { $_->{timestamp} < $step * 500 } @frames;

        @frames = grep { $_->{timestamp} >= $step * 500 } @frames;
        $p->{client}->send_tags([ @now ],
                                $step > 5 ? $ms : 0) or last;
        $p->sync();
        next if $step < 2;

        for my $rendition (qw/ source audio /) {
            my $playlist = playlist("/$url/$rendition");

            push @{ $errors{$rendition} }, @{ $playlist->{errors} },
                part_errors($playlist, $known{$rendition} ||= {});
        }
    }

    for my $rendition (qw/ source audio /) {
        my $playlist = playlist("/$url/$rendition");
        my @parts = parts($playlist);
        my @gaps = grep { $_->{GAP} } @parts;
        my (undef, @wrong) = fetch_parts("/$url/$rendition", $playlist);

        is_deeply($errors{$rendition}, [],
                  "$what, $rendition: by the rules (HLS-50, HLS-52)");
        is_deeply(\@wrong, [], "$what, $rendition: what is listed is there, "
                               . 'but for gaps');
        is(scalar(grep { $_->{discontinuity} } @{ $playlist->{segments} }), 0,
           "$what, $rendition: no discontinuity");

        my $gap = sum0(map { seconds($_->{DURATION}) } @gaps);

        # a frame is as long as a part at most, the rest of the hole is a gap
        cmp_ok($gap, '>=', $ms / 1000 - 0.51, "$what, $rendition: GAP parts");
        cmp_ok($gap, '<=', $ms / 1000 + 0.05, "$what, $rendition: no more");

        my ($first) = @{ $playlist->{segments} };
        my $length = listed_until($playlist) - $first->{pdt};

        cmp_ok(abs($length - 12 - $ms / 1000), '<', 0.6,
               "$what, $rendition: time goes on with the clock");
    }

    $p->stop();
}


# Distances of 17 to 66 ms: the encoder has announced 30 a second.  A part has
# to end where the next frame and what is expected behind it could be too much.
sub test_irregular {
    srand 5;

    my ($p, @frames) = publisher('long/vfr',
                                 tags(seconds => 12, gop => 60, audio => 0));
    my ($at, %known, @errors, @sent) = (0);

    for my $frame (@frames) {
        push @sent, { %$frame, timestamp => $at };
        $at += 17 + int rand 50;
    }

    while (@sent) {
        $p->{client}->send_tags([ splice @sent, 0, 15 ]) or last;
        $p->sync();

        my $playlist = playlist('/long/vfr/source') or next;

        push @errors, part_errors($playlist, \%known),
            grep { !/^HLS-51: .* lasts ([\d.]+) / || $1 < 0.5 - 2 * 0.067 }
            @{ $playlist->{errors} };
    }

    my $last = playlist('/long/vfr/source');
    my (undef, @wrong) = fetch_parts('/long/vfr/source', $last);

    is_deeply([ @errors, @wrong ], [],
              'irregular frames: by the rules (HLS-50, HLS-51)');
    $p->stop();

    my @served = map { md5_hex($_->{data}) }
                 map { @{ Test::Live::MP4->segment(
                              fetch("/long/vfr/source/$_->{uri}")->{body}
                          )->{samples} } }
                 @{ ended('/long/vfr/source')->{segments} };

    is_deeply(\@served, [ map { md5_hex(substr $_->{payload}, 5) } @frames ],
              'irregular frames: all are there (invariant 2)');
}


# --- the part target ----------------------------------------------------------

# fps => [ part 200ms, part 100ms ]: the next value that whole frames fill to
# 85 %, in ms; of video alone, and with audio of 1024 / 48000 s, where it is
# longer by a frame of audio unless that makes parts much longer.
sub test_targets {
    my %video = (
        '24/1'       => [ 209, 126 ],
        '25/1'       => [ 201, 121 ],
        '30000/1001' => [ 201, 101 ],
        '30/1'       => [ 201, 101 ],
        '50/1'       => [ 201, 101 ],
        '60000/1001' => [ 200, 101 ],
        '60/1'       => [ 201, 101 ],
    );
    my %both = (
        '24/1'       => [ 272, 128 ],
        '25/1'       => [ 222, 121 ],
        '30000/1001' => [ 223, 107 ],
        '30/1'       => [ 222, 107 ],
        '50/1'       => [ 222, 107 ],
        '60000/1001' => [ 222, 107 ],
        '60/1'       => [ 222, 107 ],
    );

    for my $fps (sort keys %video) {
        for my $audio (0, 1) {
            my $want = $audio ? $both{$fps} : $video{$fps};

            is_target("p200/t$audio-" . $fps =~ tr{/}{-}r, $fps, $audio,
                      $want->[0]);
            is_target("p100/t$audio-" . $fps =~ tr{/}{-}r, $fps, $audio,
                      $want->[1]);
        }
    }
}


sub is_target {
    my ($url, $fps, $audio, $want) = @_;

    my ($num, $den) = split m{/}, $fps;
    my $clip = tags(fps => $fps, gop => int(2 * $num / $den + 0.5),
                    seconds => 5, audio => $audio);
    my ($p, @frames) = publisher($url, $clip);
    my @errors;

    # not all at once: what is listed in between counts as well
    while (@frames) {
        $p->{client}->send_tags([ splice @frames, 0, 40 ]) or last;
        $p->sync();

        push @errors, map { @{ (playlist("/$url/$_") || { errors => [] })
                               ->{errors} } }
                      'source', $audio ? 'audio' : ();
    }

    for my $rendition ('source', $audio ? 'audio' : ()) {
        my $playlist = playlist("/$url/$rendition");

        is(seconds($playlist->{part_target}) * 1000, $want,
           "$url $rendition: PART-TARGET (HLS-50)");

        my @inner = map { my @parts = @$_; pop @parts; @parts }
                    map { $_->{parts} } @{ $playlist->{segments} };

        cmp_ok(scalar @inner, '>', 10, "$url $rendition: parts");
        cmp_ok(min(map { seconds($_->{DURATION}) } @inner), '>=',
               0.85 * $want / 1000, "$url $rendition: 85 % of it (HLS-51)");
        cmp_ok(max(map { seconds($_->{DURATION}) } @inner), '<=',
               $want / 1000, "$url $rendition: no more than it (HLS-50)");
    }

    is_deeply(\@errors, [], "$url: by the rules");
    $p->stop();
}


# An encoder whose clock is 50 ppm slow, which no stream of ms shows at once:
# six frames are 200.01 ms, and still one part.  What tells is a step of the
# timestamps, behind which the rate is measured anew.
sub test_drift {
    my $tags = tags(fps => 30, gop => 60, seconds => 18, audio => 0);

    for my $tag (@$tags) {
        my $ms = $tag->{timestamp};
        $tag->{timestamp} = int($ms * 1.00005 + 0.5) + ($ms >= 6000 ? 2 : 0);
    }

    my ($p, @frames) = publisher('p200/drift', $tags);

    while (@frames) {
        $p->{client}->send_tags([ splice @frames, 0, 40 ]) or last;
        $p->sync();
    }

    my @segments = @{ playlist('/p200/drift/source')->{segments} };
    splice @segments, 0, 4;

    cmp_ok(scalar @segments, '>=', 3, 'segments of a clock that drifts');
    is(join(' ', map { scalar @{ $_->{parts} } } @segments),
       join(' ', map { 10 } @segments), 'parts with all their frames');
    $p->stop();
}


# --- workers ------------------------------------------------------------------

# The worker that holds the publisher of a stream, by the log.
sub owner {
    my ($stream) = @_;

    my ($line) = reverse $t->log(qr{publishing begins.*"\Q$stream\E"});

    return ($line // '') =~ /\] (\d+)#/ ? $1 : 0;
}


# A connection to that worker, which has answered on it already.
sub connection_to {
    my ($pid) = @_;

    for (1 .. 200) {
        my $socket = IO::Socket::INET->new(
            PeerAddr => '127.0.0.1', PeerPort => $t->port(8080), Timeout => 5)
            or die "cannot connect: $!\n";
        my $head = '';

        syswrite $socket, "GET /p200/x/time HTTP/1.1\r\nHost: a\r\n\r\n";

        until ($head =~ /\r\n\r\n.*Z/s) {
            my $n = sysread $socket, $head, 4096, length $head;
            last unless $n;
        }

        return $socket if $head =~ /^X-Pid: $pid\r$/mi;
    }

    die "worker $pid does not answer\n";
}


# Asks that worker; the answer is for Test::Live::Steps.
sub ask_worker {
    my ($pid, $path) = @_;

    my $socket = connection_to($pid);

    syswrite $socket, "GET $path HTTP/1.1\r\nHost: a\r\n"
                      . "Connection: close\r\n\r\n";

    return { socket => $socket, raw => '', done => 0, path => $path,
             method => 'GET', pid => $pid };
}


# What waits in a worker of before a reload is answered there, and new workers
# wait for the stream of an old one (invariant 8).
sub test_reload {
    my $p = Test::Live::Steps->publish($t, 'p200/reload', gop => 60,
                                       seconds => 30);

    $p->upto(5300);

    my $e = $t->wait_for(sub {
        my $e = $p->edge('source');
        return $e->{status} == 200 && $e->{msn} > 2 ? $e : 0;
    }, 10, 'playlist');
    my @old = $t->workers();
    my $next = $e->{msn} + 1;
    my @asked = map { ask_worker($_, "$e->{path}?_HLS_msn=$next") } @old;

    $t->reload();

    my @new = grep { my $w = $_; !grep { $w == $_ } @old } $t->workers();

    is(scalar @new, 2, 'reload: new workers');
    ok(is_held($_), "reload: the request in the old worker $_->{pid} waits on")
        for @asked;

    push @asked, map { ask_worker($_, "$e->{path}?_HLS_msn=$next") } @new;
    $p->upto(11_000);

    for my $q (@asked) {
        my $r = answer($q, 20);

        is($r->{status}, 200, 'reload: it is answered');
        is($r->{headers}{'x-pid'}, $q->{pid}, 'reload: by the one that was '
                                              . 'asked');

        my $got = Test::Live::Steps::edge_of($r, $e->{base});

        cmp_ok($got->{msn} // 0, '>', $next, 'reload: with what was asked for');
        is_deeply(($got->{playlist} || {})->{errors}, [],
                  'reload: by the rules');
    }

    my (undef, @wrong) = fetch_parts($e->{base}, playlist($e->{base}));

    is_deeply(\@wrong, [], 'reload: the parts of an old worker are served');
    $p->stop();
    ok($t->wait_for(sub { $t->workers() == 2 }, 20, 'old workers to exit'),
       'reload: the old workers exit');
}


# A worker dies in the middle of a segment (invariants 3 and 7).
sub test_death {
    $t->allow_log(qr/worker process \d+ exited on signal 9/);

    my $p = Test::Live::Steps->publish($t, 'p200/death', gop => 60,
                                       seconds => 30);

    $p->upto(5300);

    my %before;
    my ($epoch, $msn);

    for my $rendition (qw/ source audio /) {
        my $url = "/p200/death/$rendition";
        my $playlist = $t->wait_for(sub {
            my $new = playlist($url);
            return $new && @{ $new->{open}{parts} } >= 4 ? $new : 0;
        }, 10, 'parts');

        ($epoch) = $playlist->{open}{parts}[0]{URI} =~ /seg-(\w+)-/;
        $msn = $playlist->{open}{msn};

        my ($bodies, @wrong) = fetch_parts($url, $playlist);

        is_deeply(\@wrong, [], "death, $rendition: parts are there");
        $before{$rendition} = { playlist => $playlist, url => $url,
                                open => join '', @{ $bodies->{$msn} } };
    }

    my $owner = owner('p200/death');
    my ($other) = grep { $_ != $owner } $t->workers();
    my $list = '/p200/death/source/playlist.m3u8';
    my @asked = map { ask_worker($other, $_) }
                ("$list?_HLS_msn=" . ($msn + 1),
                 "/p200/death/source/seg-$epoch-$msn.m4s",
                 "/p200/death/audio/seg-$epoch-$msn.m4s");

    kill 'KILL', $owner;

    my ($list_answer, @segments) = map { answer($_, 15) } @asked;

    is($list_answer->{status}, 200,
       'death: who waits for a playlist is answered');
    is(Test::Live::M3U8->parse($list_answer->{body})->{open}{msn}, $msn + 1,
       'death: with the segment completed');

    $t->wait_for(sub { $t->workers() == 2 }, 20, 'a new worker');

    for my $rendition (qw/ source audio /) {
        my $b = $before{$rendition};
        my $now = $t->wait_for(sub {
            my $new = playlist($b->{url});
            return $new && $new->last_msn() >= $msn ? $new : 0;
        }, 10, 'completed segment');
        my ($segment) = grep { $_->{msn} == $msn } @{ $now->{segments} };
        my $whole = fetch("$b->{url}/$segment->{uri}");

        is_deeply($now->{errors}, [], "death, $rendition: by the rules");
        is_deeply([ $now->changes_since($b->{playlist}) ], [],
                  "death, $rendition: what was listed stays (HLS-12)");
        is(substr($whole->{body}, 0, length $b->{open}), $b->{open},
           "death, $rendition: the parts have become the segment "
           . '(invariant 7)');

        # a part may have been published since, none can be missing
        my $mp4 = Test::Live::MP4->segment($whole->{body});

        is_deeply($mp4->{errors}, [], "death, $rendition: it is whole");

        my (undef, @wrong) = fetch_parts($b->{url}, $now);

        is_deeply(\@wrong, [], "death, $rendition: and stay under their URLs");
        $b->{after} = $now;
    }

    # sent as it grows, or whole: the bytes are those of the segment, or the
    # response is cut off
    for my $n (0, 1) {
        my $rendition = (qw/ source audio /)[$n];
        my $body = $segments[$n]{body} // '';
        my $whole = fetch("/p200/death/$rendition/seg-$epoch-$msn.m4s")->{body};

        is($body, substr($whole, 0, length $body),
           "death, $rendition: who was reading the segment got its bytes");
    }

    my $again = Test::Live::Steps->publish($t, 'p200/death',
                                           tags => $p->{tags});

    $again->upto(5300);

    for my $rendition (qw/ source audio /) {
        my $b = $before{$rendition};
        my $now = $t->wait_for(sub {
            my $new = playlist($b->{url});
            return $new && $new->last_msn() >= $msn + 2 ? $new : 0;
        }, 10, 'segments of the second publication');

        my ($first) = grep { $_->{msn} == $msn + 1 } @{ $now->{segments} };

        is_deeply($now->{errors}, [], "republished, $rendition: by the rules");
        is_deeply([ $now->changes_since($b->{after}) ], [],
                  "republished, $rendition: what was listed stays (HLS-12)");
        is($first->{discontinuity}, 1,
           "republished, $rendition: a discontinuity (HLS-19)");
        is(scalar(grep { $_->{discontinuity} } @{ $now->{segments} }), 1,
           "republished, $rendition: one");
        like($first->{uri}, qr/-\Q$epoch\E-/,
             "republished, $rendition: the epoch goes on");

        my (undef, @wrong) = fetch_parts($b->{url}, $now);

        is_deeply(\@wrong, [], "republished, $rendition: parts are there");
    }

    $again->stop();

    # everything once more, also what was listed before
    fetch($_) for sort keys %md5;
}
