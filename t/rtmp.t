#!/usr/bin/env perl

# RTMP publishing as clients may do it, by hand.

# asan
# waits

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use Test::Live;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::Live::RTMP;
use Test::More;

use constant { RTMP => 'Test::Live::RTMP', AUDIO => 8, VIDEO => 9 };

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
events { worker_connections 512; }

live {
    zone 256m;
    segment 2s max=6s;
    window 60s;
    resume 60s;

    application live { }
    application short { resume 1ms; }
    application small { max_message 64k; }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
        location /short/ { live_play short; }
        location /small/ { live_play small; }
    }
}
CONF

my $path = $t->clip(seconds => 4, gop => 30);
my $other_path = $t->clip(seconds => 4, gop => 30, size => '256x144',
                          channels => 1);
my $clip = clip($path);
my $other = clip($other_path);

$t->run();

# plays on beside everything below
my $good = $t->ffmpeg_publish('live/good', clip => $path, loop => -1);

chunk_sizes();
timestamps();
control_messages();
commands();
amf3();
metadata();
ends();
again();
interleaved();
largest();
codecs();
enhanced();
broken_frames();
headers();
names();
unaffected();

done_testing();


# --- the chunk layer ----------------------------------------------------------

sub chunk_sizes {
    for my $size (128, 4096, 65536, 0xffffff, 0x7fffffff) {
        my $c = start("chunk-$size", chunk_size => $size);

        $c->send_tags($clip->{tags});
        finish($c);
        is_clip("chunk-$size", "chunks of $size bytes (RTMP-26)");
    }
}


# Times of more than 24 bits; a continuation repeats them or does not.
sub timestamps {
    my %starts = ('2^24' => 0xffffff - 1500, '2^32' => 2 ** 32 - 1500,
                  'far'  => 0x80000000);

    for my $near (sort keys %starts) {
        for my $repeat (1, 0) {
            my $name = "times-$near-$repeat" =~ s/\^//r;
            my $c = start($name, chunk_size => 128);

            send_extended($c, $_, $starts{$near}, $repeat)
                for @{ $clip->{tags} };

            finish($c);

            is_clip($name, "extended timestamps near $near, continuations "
                           . ($repeat ? 'repeat' : 'omit')
                           . ' them (RTMP-21, RTMP-22, RTMP-24)');
        }
    }

    # deltas, also of an extended field, and messages of format 3
    my $c = start('deltas');
    my $last;

    for my $tag (@{ $clip->{tags} }) {
        my $bytes = $c->chunks($tag->{type}, $tag->{payload}, msid => 1,
                               csid => $tag->{type} == VIDEO ? 320 : 64,
                               timestamp => $tag->{timestamp});

        $c->write_bytes($bytes);
    }

    finish($c);
    is_clip('deltas', 'deltas on long chunk stream ids (RTMP-16, RTMP-20)');
}


sub send_extended {
    my ($c, $tag, $start, $repeat) = @_;

    my $time = ($tag->{timestamp} + $start) & 0xffffffff;
    my $csid = $tag->{type} == VIDEO ? 6 : 4;

    return $c->message($tag->{type}, $tag->{payload}, csid => $csid,
                       msid => 1, timestamp => $time, fmt => 0)
        if $repeat || $time < 0xffffff;

    my ($first, @rest) = unpack '(a128)*', $tag->{payload};

    $c->write_bytes(join '',
        chr $csid, "\xff\xff\xff",
        substr(pack('N', length $tag->{payload}), 1), chr $tag->{type},
        pack('V', 1), pack('N', $time), $first,
        map { chr(0xc0 | $csid) . $_ } @rest);
}


sub interleaved {
    my $c = start('interleaved', chunk_size => 128);
    my %queue = (AUDIO, [], VIDEO, []);

    for my $tag (@{ $clip->{tags} }) {
        my $csid = $tag->{type} == VIDEO ? 6 : 4;
        my $bytes = $c->chunks($tag->{type}, $tag->{payload}, csid => $csid,
                               msid => 1, timestamp => $tag->{timestamp},
                               fmt => 0);

        push @{ $queue{$tag->{type}} },
             substr($bytes, 0, 12 + 128, ''), unpack '(a129)*', $bytes;
    }

    # in turn, but each type at the pace that its share asks for
    my $ratio = @{ $queue{+VIDEO} } / @{ $queue{+AUDIO} };
    my ($out, $due) = ('', 0);

    while (@{ $queue{+VIDEO} } || @{ $queue{+AUDIO} }) {
        $due += $ratio;
        $out .= shift @{ $queue{+VIDEO} }
            while @{ $queue{+VIDEO} } && $due-- >= 1;
        $out .= shift @{ $queue{+AUDIO} } if @{ $queue{+AUDIO} };
        $out .= shift @{ $queue{+VIDEO} } // ''
            unless @{ $queue{+AUDIO} };
    }

    $c->write_bytes($out);
    finish($c);
    is_clip('interleaved', 'chunks of audio and video in turn (RTMP-25)');
}


sub control_messages {
    my $c = start('control');

    $c->message(4, pack('n N', 6, 0xdeadbeef), csid => 2);

    my $pong = wait_message($c, 4, sub { unpack('n', $_[0]) == 7 });
    is(unpack('x2 N', $pong // ''), 0xdeadbeef,
       'a ping is answered with its own time (RTMP-37)');

    $c->message(6, pack('N C', 123456, 2), csid => 2);
    is(unpack('N', wait_message($c, 5) // ''), 123456,
       'Set Peer Bandwidth is answered (RTMP-35)');

    $c->message(5, pack('N', 20000), csid => 2);
    $c->send_tags($clip->{tags});

    my $first = unpack 'N', wait_message($c, 3) // '';
    my $sent = 0;

    $sent += length $_->{payload} for @{ $clip->{tags} };
    cmp_ok($first, '>=', 20000, 'received bytes are acknowledged (RTMP-34)');
    cmp_ok($first, '<=', $sent + 8192 + 16 * @{ $clip->{tags} },
           'no more than was sent (RTMP-34)');

    # unknown types, events and an Abort of nothing
    $c->message(99, 'x' x 1000, csid => 9);
    $c->message(4, pack('n', 31), csid => 2);
    $c->message(2, pack('N', 77), csid => 2);
    $c->message(4, pack('n N', 6, 1), csid => 2);
    ok(defined wait_message($c, 4, sub { unpack('n', $_[0]) == 7 }),
       'what is unknown passes by (RTMP-36, RTMP-40)');

    finish($c);
    is_clip('control', 'control messages do no harm');
}


# --- commands -----------------------------------------------------------------

sub commands {
    my $c = RTMP->new(port => $t->port(1935));

    $c->handshake();

    my $result = $c->connect('live');

    is($result->[0], '_result', 'connect is answered (RTMP-58)');
    is($result->[3]{code}, 'NetConnection.Connect.Success',
       'connect succeeds (RTMP-58)');
    is($result->[3]{objectEncoding}, 0, 'with AMF0 (RTMP-42)');

    for my $command (qw/ releaseStream FCPublish _checkbw /) {
        my $answer = $c->result($c->command($command, undef, 'commands'));

        is($answer->[0], '_result', "$command is answered (RTMP-62)");
    }

    my $length = $c->result($c->command('getStreamLength', undef, 'x'));
    is($length->[3], 0, 'getStreamLength is 0 for live (RTMP-62)');

    $c->command('FCPublish', undef, 'commands');
    my $fc = $c->wait_command(sub { $_[0][0] eq 'onFCPublish' });
    is($fc->[3]{code}, 'NetStream.Publish.Start',
       'FCPublish gets onFCPublish (RTMP-63)');

    $c->command('noSuchThing', undef, 'x');
    is($c->create_stream(), 1, 'createStream makes 1 first (RTMP-61)');
    is($c->create_stream(), 2, 'and another id then (RTMP-61)');

    $c->stream_command('publish', 'commands?token=secret&x=1', 'live');
    my $info = $c->status();
    is("$info->{level} $info->{code}", 'status NetStream.Publish.Start',
       'publish is accepted on it, the name without its query (RTMP-67)');

    $c->set_chunk_size(4096);
    $c->send_tags($clip->{tags});

    $c->command('FCUnpublish', undef, 'commands');
    $fc = $c->wait_command(sub { $_[0][0] eq 'onFCUnpublish' });
    is($fc->[3]{code}, 'NetStream.Unpublish.Success',
       'FCUnpublish gets onFCUnpublish (RTMP-63)');
    is($c->status()->{code}, 'NetStream.Unpublish.Success',
       'and an onStatus (RTMP-72)');
    $c->close();

    is_clip('commands', 'what was published on the second message stream');
    unlike($t->log(), qr/token=secret/, 'no query in the log (RTMP-125)');

    for my $app ('/live', 'live/', 'live/_definst_', 'live?user=x') {
        my $c = start('normal', app => $app);

        finish($c);
        pass("the application \"$app\" is \"live\" (RTMP-57)");
    }

    for my $case (
        [ 'a second connect', sub { $_[0]->connect('live') } ],
        [ 'publish without createStream',
          sub { $_[0]->stream_command('publish', 'x') } ],
        [ 'play over RTMP', sub { $_[0]->create_stream();
                                  $_[0]->stream_command('play', 'x') } ])
    {
        my $c = RTMP->new(port => $t->port(1935));

        $c->handshake();
        $c->connect('live');
        $case->[1]->($c);
        ok($c->is_closed(), "$case->[0] ends the connection (RTMP-65)");
    }
}


# Commands of type 17, an object in AMF3, data of type 15.
sub amf3 {
    my $c = RTMP->new(port => $t->port(1935));
    my $string = sub { chr(length($_[0]) << 1 | 1) . $_[0] };

    $c->handshake();
    $c->message(20, RTMP->can('amf0')->('connect', 1)
                    . "\x11\x0a\x0b\x01"
                    . $string->('app') . "\x06" . $string->('live')
                    . $string->('fpad') . "\x02"
                    . $string->('capabilities') . "\x04\x0f"
                    . $string->('videoFunction') . "\x05" . pack('d>', 1)
                    . $string->('objectEncoding') . "\x04\x03\x01");

    is($c->result(1)->[3]{objectEncoding}, 3,
       'connect with an AMF3 object (RTMP-41, RTMP-42)');

    $c->message(17, "\0" . RTMP->can('amf0')->('createStream', 2, undef));
    is($c->result(2)->[3], 1, 'a command of type 17 (RTMP-41)');

    # the leading 0 may be missing
    $c->message(17, RTMP->can('amf0')->('publish', 3, undef, 'amf3', 'live'),
                csid => 8, msid => 1);
    is($c->status()->{code}, 'NetStream.Publish.Start',
       'publish of type 17 without its format byte (RTMP-41)');

    $c->set_chunk_size(4096);
    $c->message(15, "\0" . RTMP->can('amf0')->('@setDataFrame', 'onMetaData',
                               { encoder => 'three', videocodecid => 7 }),
                csid => 5, msid => 1);
    $c->send_tags($clip->{tags});
    finish($c);

    is_clip('amf3', 'a session in AMF3 (RTMP-41)');
    is(scalar(logged('amf3', qr/the encoder is "three"/)), 1,
       'metadata of type 15 (RTMP-41)');
}


sub metadata {
    my $amf0 = RTMP->can('amf0');
    my %values = (width => 320, framerate => 30, videocodecid => 7,
                  stereo => \1, '2.1' => \0);
    my %forms = (
        object => $amf0->('@setDataFrame', 'onMetaData',
                          { %values, encoder => 'of object' }),
        ecma   => $amf0->('@setDataFrame', 'onMetaData',
                          [ ecma => { %values, encoder => 'of ecma' } ]),
        bare   => $amf0->('onMetaData',
                          [ ecma => { %values, encoder => 'of bare' } ]),
        names  => $amf0->('onMetaData', { encoder => 'of names',
                          videocodecid => 'avc1', audiocodecid => 'mp4a' }),
        noend  => substr($amf0->('onMetaData', [ ecma =>
                          { a => 1, encoder => 'of noend' } ]), 0, -3),
    );

    for my $form (sort keys %forms) {
        my $c = start("meta-$form");

        $c->message(18, $forms{$form}, csid => 5, msid => 1);
        $c->send_tags($clip->{tags});
        finish($c);

        is(scalar(logged("meta-$form", qr/the encoder is "of $form"/)), 1,
           "onMetaData as $form is read (RTMP-48, RTMP-76, RTMP-78)");
        is_clip("meta-$form", "onMetaData as $form");
    }

    my $c = start('meta-bad');

    $c->message(18, $_, csid => 5, msid => 1)
        for '', "\x02", $amf0->('onTextData', { text => 'x' }),
            $amf0->('onMetaData', [ ecma => { framerate => 'nan' x 9 } ]),
            $amf0->('onMetaData') . "\x0a\xff\xff\xff\xff",
            $amf0->('onMetaData') . "\x03" x 200,
            $amf0->('@clearDataFrame', 'onMetaData');
    $c->send_tags($clip->{tags});
    finish($c);
    is_clip('meta-bad', 'bad data messages do no harm (RTMP-52, RTMP-77)');
}


# --- the end of a publication -------------------------------------------------

sub ends {
    my %ways = (
        FCUnpublish  => sub { $_[0]->command('FCUnpublish', undef, 'x') },
        deleteStream => sub { $_[0]->command('deleteStream', undef, 1) },
        closeStream  => sub { $_[0]->stream_command('closeStream') },
        close        => sub { $_[0]->close() },
        reset        => sub { $_[0]->reset() },
        all          => sub {
            $_[0]->command('FCUnpublish', undef, 'x');
            $_[0]->stream_command('closeStream');
            $_[0]->command('deleteStream', undef, 1);
            $_[0]->close();
        },
    );

    for my $way (sort keys %ways) {
        my $name = "end-$way";
        my $c = start($name, app => 'short');

        $c->send_tags($clip->{tags});

        # what was sent has been taken, or a reset takes it away
        $c->message(4, pack('n N', 6, 1), csid => 2);
        wait_message($c, 4, sub { unpack('n', $_[0]) == 7 });
        $ways{$way}->($c);

        my $p = $t->wait_for(sub {
            my $p = playlist("short/$name/source");

            return $p && $p->{endlist} ? $p : 0;
        }, 10, "end by $way");

        ok($p, "$way ends the publication (RTMP-72)");
        is_clip($name, "all of what $way ended", app => 'short');

        is(scalar(() = logged($name, qr/publishing (?:ends|begins)/)),
           $way =~ /^(?:close|reset)$/ ? 1 : 2, "$way ends it once (RTMP-72)");
        is(scalar(() = $t->log() =~ m{"short/$name" has ended}g), 1,
           "$way ends the stream once");
    }

    # media behind the end
    my $c = start('behind');

    $c->send_tags($clip->{tags});
    $c->command('FCUnpublish', undef, 'behind');
    $c->status();
    $c->send_tags($clip->{tags}, 4000);
    $c->message(4, pack('n N', 6, 1), csid => 2);
    ok(defined wait_message($c, 4, sub { unpack('n', $_[0]) == 7 }),
       'media behind the end does not end the connection (RTMP-72)');
    is_clip('behind', 'media behind the end is dropped (RTMP-72)');
}


sub again {
    my $c = start('again');

    $c->send_tags($clip->{tags});
    $c->stream_command('closeStream');
    is($c->status()->{code}, 'NetStream.Unpublish.Success',
       'closeStream is answered');
    is_clip('again', 'the first publication of a connection (RTMP-73)');

    my ($first) = read_track('live/again/source');

    $c->stream_command('publish', 'again', 'live');
    is($c->status()->{code}, 'NetStream.Publish.Start',
       'publish again on the same connection (RTMP-73)');
    $c->send_tags($clip->{tags}, 9000);
    $c->stream_command('closeStream');
    $c->status();

    my ($both, $playlist) = read_track('live/again/source');

    is_deeply([ map { $_->{data} } @$both ],
              [ (map { $_->{data} } @$first) x 2 ],
              'the second one follows the first, byte-exact (RTMP-73)');
    is(scalar(grep { $_->{discontinuity} } @{ $playlist->{segments} }), 1,
       'with one discontinuity (HLS-19)');

    $c->stream_command('publish', 'again2', 'live');
    $c->status();
    $c->send_tags($clip->{tags});
    finish($c);
    is_clip('again2', 'a third one under another name (RTMP-73)');

    $c = start('switch1');
    $c->send_tags($clip->{tags});
    $c->stream_command('publish', 'switch2', 'live');
    is($c->status()->{code}, 'NetStream.Unpublish.Success',
       'publish while publishing ends the first one');
    is($c->status()->{code}, 'NetStream.Publish.Start', 'and begins another');
    $c->send_tags($clip->{tags});
    finish($c);
    is_clip("switch$_", "switch of names, $_") for 1, 2;
}


# --- messages -----------------------------------------------------------------

sub largest {
    my $c = start('small', app => 'small', chunk_size => 65536);

    send_headers($c);
    $c->video(0, key_frame(60000));
    $c->video(33, key_frame(70000));
    ok($c->is_closed(), 'a frame above max_message ends the connection');
    like($t->log(), qr/message of type 9 has 70009 bytes, the limit is 65536/,
         'the log names its size and the limit (RTMP-28)');

    my ($samples) = read_track('small/small/source');
    is(length $samples->[0]{data}, 60004, 'the frame before it is served');

    my $frame = key_frame(6 * 1024 * 1024);

    $c = start('big', chunk_size => 65536);
    send_headers($c);
    $c->video($_ * 2000, $frame) for 0, 1;
    finish($c);

    ($samples) = read_track('live/big/source');
    is_deeply([ map { md5_hex($_->{data}) } @$samples ],
              [ (md5_hex(substr $frame, 5)) x 2 ],
              'key frames of 6 MB are served byte-exact (RTMP-28)');
}


sub codecs {
    my @cases = (
        [ 'MP3', AUDIO, "\x2f" . 'x' x 400 ],
        [ 'Speex', AUDIO, "\xb6" . 'x' x 40 ],
        [ 'G.711 A-law', AUDIO, "\x72" . 'x' x 40 ],
        [ 'Opus', AUDIO, "\x90Opus" . 'OpusHead' ],
        [ 'fLaC', AUDIO, "\x91fLaC" . 'x' x 40 ],
        [ 'HEVC (codec 12)', VIDEO, "\x1c\x00\x00\x00\x00\x01" . 'x' x 40 ],
        [ 'hvc1', VIDEO, "\x90hvc1" . "\x01" . 'x' x 40 ],
        [ 'av01', VIDEO, "\x90av01" . "\x81" . 'x' x 40 ],
        [ 'On2 VP6', VIDEO, "\x14\x00" . 'x' x 40 ],
        [ 'Sorenson H.263', VIDEO, "\x12" . 'x' x 40 ],
        [ 'multitrack', VIDEO, "\x96\x00avc1\x00" . 'x' x 40 ],
        [ '????', VIDEO, "\x90\x00\x7f\xff\n" . 'x' x 40 ],
    );

    for my $case (@cases) {
        my ($codec, $type, $payload) = @$case;
        my $name = 'codec-' . lc($codec =~ s/\W//gr);
        my $c = start($name);

        $c->message($type, $payload, csid => 6, msid => 1);

        my $info = $c->status() || {};

        is(($info->{level} // '') . ' ' . ($info->{code} // ''),
           'error NetStream.Publish.Rejected', "$codec is refused (RTMP-70)");
        like($info->{description}, qr/\Q$codec\E/, "its onStatus names it");
        ok($c->is_closed(), "$codec: the connection is closed");
        is(scalar(logged($name, qr/publishing refused: .*\Q$codec\E/)), 1,
           "$codec: the log names it");
    }
}


# H.264 and AAC with FourCCs (RTMP-101).
sub enhanced {
    my $c = start('enhanced');

    for my $tag (@{ $clip->{tags} }) {
        my ($type, $payload) = @$tag{qw/ type payload /};

        if ($type == AUDIO) {
            my ($packet) = unpack 'x C', $payload;

            $payload = chr(0x90 | $packet) . 'mp4a' . substr $payload, 2;

        } elsif ($type == VIDEO) {
            my ($first, $packet) = unpack 'C C', $payload;
            my $body = substr $payload, $packet ? 2 : 5;

            # frames without a composition time in the short form
            if ($packet == 1 && $body =~ s/\A\0\0\0//) {
                $packet = 3;
            }

            $payload = chr(0x80 | $first & 0x70 | $packet) . "avc1$body";
        }

        $c->message($type, $payload, csid => $type, msid => 1,
                    timestamp => $tag->{timestamp});
    }

    finish($c);
    is_clip('enhanced', 'avc1 and mp4a of Enhanced RTMP (RTMP-105)');

    my $tag = $clip->{video}[0];

    $c = start('coded');
    send_headers($c);
    $c->video($_ * 40, "\x91avc1\x00\x00\x00" . substr $tag->{payload}, 5)
        for 0 .. 3;
    finish($c);

    my ($samples) = read_track('live/coded/source');
    is_deeply([ map { $_->{data} } @$samples ],
              [ (substr $tag->{payload}, 5) x 4 ],
              'avc1 with composition times (RTMP-105)');
}


sub broken_frames {
    my @frames = @{ $clip->{video} };
    my %broken = (
        'a NAL unit beyond the frame'   => sub { 0xffffffff },
        'a NAL unit one byte too long'  => sub { $_[0] + 1 },
        'a NAL unit one byte too short' => sub { $_[0] - 1 },
    );

    # in the middle of a part, at its end, at the start of a GOP
    for my $n (50, 45, 30) {
        my $time = $frames[$n]{timestamp};

        for my $what (sort keys %broken) {
            my $name = "nal-$n-" . substr md5_hex($what), 0, 6;
            my $c = start($name);

            for (@{ $clip->{tags} }) {
                my $tag = { %$_ };

                substr($tag->{payload}, 5, 4) = pack 'N',
                    $broken{$what}->(unpack 'N', substr $tag->{payload}, 5, 4)
                    if $tag->{type} == VIDEO && $tag->{timestamp} == $time;

                $c->send_tags([ $tag ]);
            }

            finish($c);

            # where a GOP is missing, so is its time
            my ($samples) = read_track("live/$name/source",
                                       $n == 30 ? qr/^CMAF-14/ : ());
            my @sent = map { substr $_->{payload}, 5 }
                       @frames[0 .. $n - 1,
                               $n == 30 ? 60 .. $#frames
                                        : $n + 1 .. $#frames];

            is_deeply([ map { $_->{data} } @$samples ], \@sent,
                      "$what, frame $n: it alone is dropped, and what cannot "
                      . 'be decoded without it (RTMP-86)');
            is(scalar(() = logged($name, qr/a broken frame is dropped/)), 1,
               "$what, frame $n: the log says so");
        }
    }
}


# --- sequence headers ---------------------------------------------------------

sub headers {
    my @tags = grep { $_->{type} != 18 } @{ $clip->{tags} };
    my @media = grep { !is_header($_) } @tags;
    my @headers = grep { is_header($_) } @tags;

    my $c = start('missing');

    $c->send_tags(\@media);
    finish($c);
    is($t->get('/live/missing/playlist.m3u8')->{status}, 404,
       'nothing is served without sequence headers (RTMP-87)');

    $c = start('late');
    $c->send_tags([ grep { $_->{timestamp} < 900 } @media ]);
    $c->send_tags(\@headers, 900);
    $c->send_tags([ grep { $_->{timestamp} >= 900 } @media ]);
    finish($c);
    is_clip('late', 'sequence headers that come late (RTMP-87)', from => 1000);

    $c = start('repeated');

    for my $tag (@tags) {
        $c->send_tags(\@headers, $tag->{timestamp})
            if !is_header($tag) && $tag->{type} == VIDEO
               && $tag->{payload} =~ /\A\x17/;
        $c->send_tags([ $tag ]);
    }

    finish($c);
    is_clip('repeated', 'identical headers at each key frame (RTMP-74)');

    changed();
}


sub is_header {
    my ($tag) = @_;

    return $tag->{payload} =~ /\A[\x17\xaf]\x00/s;
}


# Other pictures and other sound from 2 s on; video in the middle of a GOP.
sub changed {
    my $c = start('changed');
    my $cut = 2500;
    my @new = @{ $other->{tags} };

    $c->send_tags([ grep { $_->{timestamp} < $cut } @{ $clip->{tags} } ]);
    $c->send_tags([ grep { is_header($_) } @new ], $cut);
    $c->send_tags([ grep { !is_header($_) && $_->{timestamp} >= $cut
                           && $_->{type} != 18 } @new ]);
    finish($c);

    for my $kind (qw/ video audio /) {
        my $track = $kind eq 'video' ? 'source' : 'audio';
        my $skip = $kind eq 'video' ? 5 : 2;
        my ($samples, $p) = read_track("live/changed/$track");
        my @segments = @{ $p->{segments} };
        my @at = grep { $segments[$_]{discontinuity} } 0 .. $#segments;
        my @maps = map { $_->{map} } @segments;
        my %maps = map { $_ => 1 } @maps;

        is(scalar @at, 1, "changed headers: one discontinuity in $kind "
                          . '(RTMP-74, HLS-19)');
        is(scalar keys %maps, 2, "changed headers: a new init segment "
                                 . "for $kind (RTMP-74)");
        isnt($maps[$at[0]], $maps[$at[0] - 1],
             "the $kind init segment changes there (HLS-24)");
        
        my @old = map { substr $_->{payload}, $skip }
                  grep { $_->{timestamp} < $cut } @{ $clip->{$kind} };
        my @rest = map { substr $_->{payload}, $skip }
                   grep { $_->{timestamp} >= 3000 } @{ $other->{$kind} };
        my @data = map { $_->{data} } @$samples;

        if ($kind eq 'video') {
            is_deeply(\@data, [ @old, @rest ], 'video goes on at the next '
                      . 'key frame, dropping what lies between (RTMP-75)');
        } else {
            is_deeply([ @data[-5 .. -1] ], [ @rest[-5 .. -1] ],
                      'audio of the new kind is served');
        }

        my $init = Test::Live::MP4->init(
            $t->get("/live/changed/$track/$maps[-1]")->{body});

        is_deeply($init->{errors}, [], "the new $kind init segment is valid");
        is($init->{width}, 256, 'and has the new size') if $kind eq 'video';
    }

    my ($v, $a) = map { (read_track("live/changed/$_"))[1] } qw/ source audio /;

    is_deeply([ map { $_->{msn} . ($_->{discontinuity} ? 'd' : '') }
                @{ $v->{segments} } ],
              [ map { $_->{msn} . ($_->{discontinuity} ? 'd' : '') }
                @{ $a->{segments} } ],
              'the discontinuity has one place in both renditions (HLS-46)');
}


# --- names --------------------------------------------------------------------

sub names {
    my %bad = (
        empty       => '',
        hidden      => '.hidden',
        dots        => '..',
        parent      => '../x',
        path        => 'a/b',
        deep        => 'a/../../etc/passwd',
        space       => 'a b',
        control     => "a\x01b",
        newline     => "a\nb",
        nul         => "a\0b",
        delete      => "a\x7f",
        latin       => "\xe4",
        utf8        => "\xc3\xa4",
        percent     => 'a%2fb',
        backslash   => 'a\\b',
        long        => 'x' x 129,
        longer      => 'x' x 60000,
        query       => '?token=1',
    );

    for my $what (sort keys %bad) {
        my $c = RTMP->new(port => $t->port(1935));

        $c->handshake();
        $c->connect('live');

        my $info = $c->publish($bad{$what}) || {};

        is(($info->{level} // '') . ' ' . ($info->{code} // ''),
           'error NetStream.Publish.BadName',
           "the name \"$what\" is refused (RTMP-67, RTMP-70)");
        like($info->{description}, qr/name/, "$what: it says why");
        ok($c->is_closed(), "$what: the connection is closed");
    }

    unlike($t->log(), qr/[^\x20-\x7e\n]/, 'no byte of a peer in the log');

    for my $name ('x' x 128, 'A-z_0.9', 'x', 'a..b', '-') {
        my $c = start($name);

        finish($c);
        pass('the name ' . substr($name, 0, 10) . ' is accepted (RTMP-67)');
    }

    my $c = RTMP->new(port => $t->port(1935));

    $c->handshake();

    my $result = $c->connect('nowhere') || [ '' ];
    my $info = $result->[0] eq '_error' ? $result->[3] : $c->publish('x');

    is($info->{level}, 'error', 'an unknown application is refused');
    like($info->{description}, qr/unknown application/, 'and named so');
    ok($c->is_closed(), 'and the connection closed');
}


# --- the good stream ----------------------------------------------------------

sub unaffected {

    # where its clip begins anew the audio is 11 ms longer than the video, and
    # the end of the last part was announced when the next frame came
    my ($samples, $p) = read_track('live/good/source',
                                   qr/^CMAF-14: segment starts at /);
    my @sent = map { md5_hex(substr $_->{payload}, 5) } @{ $clip->{video} };
    my @wrong = grep { md5_hex($samples->[$_]{data}) ne $sent[$_ % @sent] }
                0 .. $#$samples;

    ok($t->is_running($good), 'the good stream is still published');
    cmp_ok(scalar @$samples, '>', 60, 'the good stream goes on');
    is("@wrong", '', 'no frame of it was touched by what others did '
                     . '(invariant 9)');
    is(scalar(grep { $_->{discontinuity} } @{ $p->{segments} }), 0,
       'and it has no discontinuity (invariant 9)');
}


# --- tools --------------------------------------------------------------------

sub clip {
    my ($file) = @_;

    my $tags = RTMP->can('flv_tags')->($file);
    my %clip = (tags => $tags);

    for my $kind (AUDIO, VIDEO) {
        $clip{$kind == VIDEO ? 'video' : 'audio'} = [
            grep { $_->{type} == $kind && substr($_->{payload}, 1, 1) eq "\1" }
            @$tags
        ];
    }

    return \%clip;
}


sub start {
    my ($name, %option) = @_;

    return RTMP->start(port => $t->port(1935), app => 'live', name => $name,
                       %option);
}


# Returns when the server has taken all and ended the publication.
sub finish {
    my ($c) = @_;

    $c->command('deleteStream', undef, $c->{msid});

    my $info = $c->status();

    is($info && $info->{code}, 'NetStream.Unpublish.Success',
       'a publication ends in order') or diag($c->error());
    $c->close();
}


sub send_headers {
    my ($c) = @_;

    $c->send_tags([ grep { $_->{type} == VIDEO && is_header($_) }
                    @{ $clip->{tags} } ]);
}


# An IDR picture that no decoder would like.
sub key_frame {
    my ($size) = @_;

    my $data = join '', map { chr(1 + $_ % 251) } 1 .. 4099;

    $data x= 1 + $size / length $data;

    return RTMP->can('avc_frame')->(1, 0, pack 'N/a*',
                                    "\x65" . substr $data, 0, $size - 1);
}


sub wait_message {
    my ($c, $type, $accept) = @_;

    while (my $message = $c->read_message()) {
        return $message->{payload}
            if $message->{type} == $type
               && (!$accept || $accept->($message->{payload}));
    }

    return undef;
}


sub logged {
    my ($name, $pattern) = @_;

    return grep { m{stream: "\w+/\Q$name\E"} } $t->log($pattern);
}


sub playlist {
    my ($path) = @_;

    my $response = $t->get("/$path/playlist.m3u8");

    return $response->{status} == 200
           ? Test::Live::M3U8->parse($response->{body}) : undef;
}


# The samples of all listed segments and the playlist; both must be valid.
sub read_track {
    my ($path, $allowed) = @_;

    my $playlist = playlist($path);

    unless ($playlist) {
        fail("there is no $path");
        return ([], { segments => [] });
    }

    my (@errors, @samples, $before);

    push @errors, @{ $playlist->{errors} };

    for my $listed (@{ $playlist->{segments} }) {
        next if $listed->{gap};

        my $segment = Test::Live::MP4->segment(
            $t->get("/$path/$listed->{uri}")->{body});

        push @errors, @{ $segment->{errors} };
        push @errors, $before->join_errors($segment)
            if $before && !$listed->{discontinuity};

        push @samples, @{ $segment->{samples} };
        $before = $segment;
    }

    @errors = grep { !/$allowed/ } @errors if $allowed;
    is_deeply(\@errors, [], "$path is valid");

    return (\@samples, $playlist);
}


# What is served is the clip, of which audio may begin with the first picture.
sub is_clip {
    my ($name, $what, %option) = @_;

    my $app = $option{app} || 'live';
    my $from = $option{from} || 0;
    my ($video, $p) = read_track("$app/$name/source");
    my ($audio) = read_track("$app/$name/audio");

    is_deeply([ map { md5_hex($_->{data}) } @$video ],
              [ map { md5_hex(substr $_->{payload}, 5) }
                grep { $_->{timestamp} >= $from } @{ $clip->{video} } ],
              "$what: video is byte-exact");

    my @sent = map { md5_hex(substr $_->{payload}, 2) } @{ $clip->{audio} };
    my @got = map { md5_hex($_->{data}) } @$audio;
    my $missing = @sent - @got;

    cmp_ok($missing, '<=', 3 + $from / 21, "$what: audio is complete");
    splice @sent, 0, $missing if $missing > 0;
    is_deeply(\@got, \@sent, "$what: audio is byte-exact");

    is(join(' ', map { $_->{dts} - $video->[0]{dts} } @$video),
       join(' ', map { 3000 * $_ } 0 .. $#$video),
       "$what: each frame has its time (CMAF-14)");
    is(scalar(grep { $_->{discontinuity} } @{ $p->{segments} }), 0,
       "$what: no discontinuity");
}
