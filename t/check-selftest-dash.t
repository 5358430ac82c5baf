#!/usr/bin/env perl

# The checks of DASH find what they say they find: a stream that keeps all
# rules is not complained of, and each fault put into it is, under the number
# of its rule.

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use Storable qw/ dclone /;
use Test::Live::Check::DASH;
use Test::Live::Check::HLS;
use Test::Live::Model;
use Test::More;

# Most of what is checked again and again is as it was.
for my $what ([ 'MPD', 'parse' ], [ 'MP4', 'segment' ]) {
    my ($package, $name) = @$what;

    no strict 'refs';
    no warnings 'redefine';

    my %cache;
    my $original = \&{"Test::Live::${package}::$name"};

    *{"Test::Live::${package}::$name"} = sub {
        return $cache{$_[1]} ||= $original->(@_);
    };
}

my %clean = (grid => Test::Live::Model->dash(grid => 1),
             timeline => Test::Live::Model->dash());
my $hls = Test::Live::Check::HLS->check(Test::Live::Model->crawl())->{tracks};

for my $kind (qw/ grid timeline /) {
    my $result = check(dclone($clean{$kind}));

    is_deeply($result->{violations}, [], "$kind: no complaint of the clean "
                                         . 'stream');
    is_deeply($result->{timing}, [], "$kind: nor of its pace");

    my @what = (qw/ versions times segments init files dates
                   discontinuities /,
                $kind eq 'grid' ? qw/ announced progressive again / : 'listed');

    for my $what (@what) {
        cmp_ok($result->{counts}{$what} // 0, '>', 1, "$kind: $what were "
                                                      . 'checked');
    }
}

single();
versions();
files();
headers();

done_testing();


sub check {
    my ($crawl) = @_;

    return Test::Live::Check::DASH->check({ hls => $hls, %$crawl });
}


# fault(KIND, RULE, WHAT, SUB): the sub breaks the crawl.
sub fault {
    my ($kind, $rule, $what, $break) = @_;

    my $crawl = dclone($clean{$kind});

    $break->($crawl);

    my $got = check($crawl);

    ok(scalar(grep { /^[^:]*: \Q$rule\E: / } @{ $got->{violations} }),
       "$rule: $what ($kind)")
        or diag(join "\n", 'found instead:',
                grep { defined } @{ $got->{violations} }[0 .. 9]);
}


# Changes the text of all manifests, or of those from the nth on.
sub text {
    my ($kind, $rule, $what, $change, $from, $to) = @_;

    fault($kind, $rule, $what, sub {
        my ($crawl) = @_;

        my $changed = 0;

        for my $r (@{ $crawl->{mpds} }[$from // 0 .. $to
                                       // $#{ $crawl->{mpds} }])
        {
            my $before = $r->{body};

            for ($r->{body}) { $change->($r) }
            $changed++ if $before ne $r->{body};
            $r->{headers}{etag} = '"' . md5_hex($r->{body}) . '"';
        }

        fail("$rule: $what changes nothing") unless $changed;
    });
}


# What one manifest says.
sub single {
    my @without = (
        [ 8, 'profiles="x"' ], [ 8, 'minBufferTime="PT2S"' ],
        [ 8, 'availabilityStartTime="[^"]*"' ], [ 8, 'publishTime="[^"]*"' ],
        [ 8, 'timeShiftBufferDepth="PT20S"' ],
        [ 8, 'suggestedPresentationDelay="PT6S"' ],
        [ 8, 'maxSegmentDuration="PT2S"' ], [ 6, '<UTCTiming [^>]*>' ],
        [ 13, 'xmlns="[^"]*"' ], [ 13, '<\?xml.*' ], [ 13, '</Period>' ],
        [ 16, 'id="1"(?= contentType)' ], [ 16, 'contentType="audio"' ],
        [ 16, 'mimeType="video/mp4"' ], [ 16, 'segmentAlignment="true"' ],
        [ 16, 'startWithSAP="1"' ], [ 16, '<Representation [^>]*>' ],
        [ 17, 'bandwidth="\d+"' ], [ 17, 'codecs="[^"]*"' ],
        [ 17, 'width="320"' ], [ 17, 'audioSamplingRate="48000"' ],
        [ 17, 'id="source"' ], [ 23, 'initialization="[^"]*"' ],
        [ 30, 'start="PT0S"' ], [ 30, 'id="p0"' ],
    );

    for my $case (@without) {
        my ($rule, $what) = @$case;

        text('timeline', "DASH-$rule", "without $what",
             sub { s/$what// }, 0, 40);
    }

    text('timeline', 'DASH-13', 'a date without Z', sub { s/000Z"/000"/ });
    text('timeline', 'DASH-13', 'a bad duration', sub { s/"PT2S"/"2s"/ });
    text('timeline', 'DASH-13', 'an attribute twice',
         sub { s/(profiles="x")/$1 $1/ });
    text('timeline', 'DASH-13', 'a bare &', sub { s/profiles="x"/profiles="&"/ });
    text('timeline', 'DASH-8', 'a duration while it is live',
         sub { s/(profiles="x")/$1 mediaPresentationDuration="PT9S"/ }, 0, 40);
    text('timeline', 'DASH-8', 'a segment over maxSegmentDuration',
         sub { s/maxSegmentDuration="PT2S"/maxSegmentDuration="PT1S"/ });
    text('timeline', 'DASH-11', 'a delay of more than the window',
         sub { s/Delay="PT6S"/Delay="PT26S"/ });
    text('timeline', 'DASH-16', 'two sets of one id', sub { s/Set id="2"/Set id="1"/ });
    text('timeline', 'DASH-17', 'two Representations of one id',
         sub { s/(<Representation .*?>)/$1$1/ });
    text('timeline', 'DASH-23', 'no SegmentTemplate',
         sub { s{<SegmentTemplate.*?</SegmentTemplate>}{}s });
    text('timeline', 'DASH-23', '$Number$ and $Time$',
         sub { s/\$Number\$/\$Number\$\$Time\$/ });
    text('timeline', 'DASH-23', 'a timeline and a duration',
         sub { s/(<SegmentTemplate )/$1duration="9" / });
    text('timeline', 'DASH-24', 'the first S without t', sub { s/<S t="\d+"/<S/ });
    text('timeline', 'DASH-24', 'an S without d', sub { s/ d="180000"// });
    text('timeline', 'DASH-24', 'a negative r', sub { s/ r="\d+"/ r="-1"/ });
    text('timeline', 'DASH-24', 'S@n', sub { s/<S t/<S n="1" t/ });
    text('timeline', 'DASH-24', 'a gap in a timeline', sub {
        s{(<S t="0" d="(\d+)" r=")(\d+)"/>}{
            $1 . ($3 - 1) . '"/><S t="' . ($2 * $3 + 1) . "\" d=\"$2\"/>"}e;
    });
    text('timeline', 'DASH-30', 'two Periods of one id', sub { s/"p8"/"p0"/ });
    text('timeline', 'DASH-30', 'a Period before the one before it',
         sub { s/start="PT16S"/start="PT0S"/ });
    text('timeline', 'DASH-30', 'a Period that reaches into the next one',
         sub { s/(start="PT0S")/$1 duration="PT17S"/ });
    text('timeline', 'DASH-30', 'an empty Period',
         sub { s{(<Period .*?>).*?(</Period>)}{$1$2}s });
    text('timeline', 'DASH-37', 'an end without a duration',
         sub { s/mediaPresentationDuration="[^"]*"// });
    text('timeline', 'DASH-37', 'an end with updates',
         sub { s/"static"/"static" minimumUpdatePeriod="PT2S"/ });

    text('grid', 'DASH-40', 'availabilityTimeOffset of a segment',
         sub { s/Offset="1.5"/Offset="2"/ });
    text('grid', 'DASH-40', 'a set without availabilityTimeOffset',
         sub { s/ availabilityTimeOffset="1.5"// });
    text('grid', 'DASH-40', 'two offsets in a set', sub {
        s{(<Representation id="source"[^>]*)/>}{$1/><Representation id="b"
          bandwidth="1" codecs="a" width="1" height="1"><SegmentTemplate
          availabilityTimeOffset="1"/></Representation>};
    });
    text('grid', 'DASH-42', 'no Latency', sub { s/<Latency.*?>// });
    text('grid', 'DASH-43', 'no ProducerReferenceTime',
         sub { s{<ProducerR.*?</ProducerReferenceTime>}{} });
    text('grid', 'DASH-43', 'a reference 2 ms off',
         sub { s/(wallClockTime=".*?)\.000Z/$1.002Z/ });
    text('grid', 'DASH-43', 'two references of one id',
         sub { s/Time id="2"/Time id="1"/ });
    text('grid', 'DASH-43', 'a reference with another clock',
         sub { s/value="time"/value="other"/ });
    text('grid', 'DASH-47', 'a clock of whole seconds',
         sub { s/utc:http-xsdate:2014/utc:http-head:2014/g });
}


# What may not change.
sub versions {
    for my $kind (qw/ grid timeline /) {
        text($kind, 'DASH-2', 'availabilityStartTime changes',
             sub { s/(StartTime=".*?)\.000Z/$1.001Z/ }, 50);
        text($kind, 'DASH-2', 'the start of a Period changes',
             sub { s/start="PT16S"/start="PT16.1S"/ }, 50);
        text($kind, 'DASH-9', 'the text changes, publishTime does not',
             sub { s/publishTime="[^"]*"/publishTime="2026-01-01T00:00:00Z"/ });
        text($kind, 'DASH-16', 'a set goes away in a Period', sub {
            s{<AdaptationSet id="2".*?</AdaptationSet>}{}s }, 10, 20);
        text($kind, 'DASH-31', 'a presentationTimeOffset changes', sub {
            s/(presentationTimeOffset=")0/${1}90/ }, 10, 20);
        text($kind, 'DASH-31', 'the clock of one track is off', sub {
            s/(timescale="48000" presentationTimeOffset=")\d/${1}9/ }, 0, 30);
        text($kind, 'DASH-33', 'a Period is removed early', sub {
            s{<Period id="p0".*?</Period>}{}s }, 50);
        text($kind, 'DASH-33', 'the last Period is gone', sub {
            s{<Period id="p8".*?</Period>}{}s }, 50, 51);
        text($kind, 'DASH-25', 'another init segment in a Period', sub {
            s/init-e-1/init-e-2/g }, 10, 20);
    }

    for my $kind (qw/ grid timeline /) {
        fault($kind, 'DASH-35', 'a discontinuity that begins no Period', sub {
            local $Test::Live::Model::CHANGE = 110;

            %{ $_[0] } = %{ Test::Live::Model->dash(grid => $kind eq 'grid') };
        });

        # HLS had it first
        my $crawl = dclone($clean{$kind});
        my $there = $Test::Live::Model::EPOCH + 18;

        @{ $crawl->{mpds} } = grep { $_->{started} < $there }
                              @{ $crawl->{mpds} };
        s/<Period id="p8".*?<\/Period>//s for map { $_->{body} }
                                              @{ $crawl->{mpds} };

        is_deeply([ grep { /DASH-35/ } @{ check($crawl)->{violations} } ], [],
                  "DASH-35: nor before it can be known ($kind)");
    }

    fault('grid', 'DASH-30', 'a Period that is not needed', sub {
        my $tracks = dclone($hls);

        for my $segment (map { values %{ $_->{segments} } } values %$tracks) {
            $segment->{discontinuity} = 'none';
            $segment->{map} = 'one';
        }

        $_[0]{hls} = $tracks;
    });
    fault('grid', 'DASH-9', 'publishTime changes alone', sub {
        my $r = $_[0]{mpds}[20];

        $r->{body} =~ s/(publishTime=".*?)\.000Z/$1.100Z/;
    });
    fault('timeline', 'DASH-34', 'a Period before those that were there', sub {
        for my $r (@{ $_[0]{mpds} }[40 .. 50]) {
            $r->{body} =~ s{(<Period id=")p0(.*?</Period>)}{
                my ($a, $b) = ($1, $2);
                (my $new = "${a}p9$b") =~ s/start="PT0S"/start="PT0.5S"/;
                "$a" . "p0$b$new"}se;
        }
    });
    fault('timeline', 'DASH-37', 'it is dynamic again', sub {
        push @{ $_[0]{mpds} }, dclone($_[0]{mpds}[-2]);
    });
    fault('timeline', 'DASH-37', 'the manifest goes away', sub {
        $_[0]{mpds}[40]{status} = 404;
    });

    text('timeline', 'DASH-10', 'updates too rare',
         sub { s/Period="PT2S"/Period="PT10S"/ });
    text('grid', 'DASH-53', 'updates too often',
         sub { s/Period="PT2S"/Period="PT0S"/ });
    text('timeline', 'DASH-25', 'a segment is gone from the end',
         sub { s/r="(\d+)"/'r="' . ($1 - 1) . '"'/ge }, 12, 13);
    text('timeline', 'DASH-25', 'a duration changes', sub {
        s/t="0" d="180000" r="(\d+)"/'t="0" d="180001" r="' . $1 . '"'/e },
        12, 13);
    text('timeline', 'DASH-25', 'startNumber is not counted',
         sub { s/startNumber="\d+"/startNumber="100"/ });
    text('grid', 'DASH-25', 'the duration of a grid changes',
         sub { s/ duration="180000"/ duration="180001"/ }, 12, 13);
}


sub files {
    my $file = sub { return $_[0]{files}{"source/$_[1]"}{answers} };

    for my $case ([ 'timeline', 'DASH-29', 'what is listed is not there' ],
                  [ 'grid', 'DASH-3', 'what is announced is not there' ])
    {
        my ($kind, $rule, $what) = @$case;

        fault($kind, $rule, $what, sub {
            $file->($_[0], 'seg-e-105.m4s')[0]{status} = 404;
        });
    }

    fault('timeline', 'DASH-29', 'an init segment is not there', sub {
        $file->($_[0], 'init-e-1.mp4')[0]{status} = 404;
    });
    fault('grid', 'DASH-3', 'an answer breaks off', sub {
        $file->($_[0], 'seg-e-105.m4s')[0]{truncated} = 1;
    });
    fault('grid', 'DASH-67', 'other bytes than were sent before', sub {
        $file->($_[0], 'seg-e-105.m4s')[1]{body} .= 'x';
    });
    fault('grid', 'DASH-28', 'what was sent is gone', sub {
        $file->($_[0], 'seg-e-105.m4s')[1]{status} = 404;
    });
    fault('timeline', 'DASH-28', 'other bytes of a segment', sub {
        my $answers = $file->($_[0], 'seg-e-105.m4s');

        push @$answers, dclone($answers->[0]);
        $answers->[1]{body} .= 'x';
    });
    fault('grid', 'DASH-48', 'Content-Length while it grows', sub {
        $file->($_[0], 'seg-e-105.m4s')[0]{headers}{'content-length'} = 9;
    });
    fault('grid', 'DASH-44', 'a segment of one chunk', sub {
        $_->{body} = $file->($_[0], 'seg-e-105.m4s')[0]{body} =~
            /\A(.*?mdat.*?)(?=....moof)/s ? $1 : '' for
            map { $_ } @{ $file->($_[0], 'seg-e-105.m4s') };
    });
    fault('timeline', 'DASH-20', 'another timescale than in mdhd', sub {
        $file->($_[0], 'init-e-1.mp4')[0]{body}
            =~ s/mdhd.{12}\K..../pack 'N', 1000/se;
    });
    fault('timeline', 'CMAF-2', 'an init segment without trex', sub {
        $file->($_[0], 'init-e-1.mp4')[0]{body} =~ s/trex/xert/;
    });
    fault('timeline', 'CMAF-13', 'a segment without a sync sample', sub {
        $file->($_[0], 'seg-e-105.m4s')[0]{body}
            =~ s/\x20\x02\0\0\0/\x20\x01\x01\0\0/;
    });
    fault('timeline', 'DASH-24', 'a segment is shorter than S@d', sub {
        substr($_->{body}, rindex($_->{body}, 'mdat') - 16, 4) = pack 'N', 9
            for @{ $file->($_[0], 'seg-e-105.m4s') };
    });

    shifted('timeline', 'DASH-27', 'tfdt is not S@t', 90, qr/105/);
    shifted('grid', 'DASH-26', 'a segment is far off the grid', 99000, qr/105/);
    shifted('grid', 'DASH-66', 'a gap between two segments', 90, qr/105/);
    shifted('grid', 'DASH-56', 'HLS has another clock', 180, qr/10[0-7]/);
    shifted('grid', 'DASH-30', 'samples before the Period', -18000,
            qr/1(?:0[89]|[12])/);
    shifted('grid', 'DASH-30', 'samples after the start of the Period', 18000,
            qr/1(?:0[89]|[12])/);
    shifted('grid', 'DASH-30', 'samples of one Period reach into the next',
            18000, qr/10[0-7]/);
}


# Moves the samples of segments of the video.
sub shifted {
    my ($kind, $rule, $what, $ticks, $pattern) = @_;

    fault($kind, $rule, $what, sub {
        my ($crawl) = @_;

        for my $uri (grep { m{^source/seg-e-$pattern} }
                     keys %{ $crawl->{files} })
        {
            $_->{body} =~ s/(tfdt\x01\0{3})(.{8})/
                $1 . pack 'Q>', $ticks + unpack 'Q>', $2/sge
                for @{ $crawl->{files}{$uri}{answers} };
        }
    });
}


sub headers {
    my $header = sub {
        my ($rule, $what, $name, $value, $which) = @_;

        fault('timeline', $rule, $what, sub {
            $which->($_[0])->{headers}{$name} = $value;
        });
    };
    my $mpd = sub { return $_[0]{mpds}[20] };
    my $time = sub { return $_[0]{times}[1] };
    my $segment = sub {
        return $_[0]{files}{'source/seg-e-105.m4s'}{answers}[0];
    };

    $header->('DASH-13', 'a manifest is text', 'content-type', 'text/xml',
              $mpd);
    $header->('HTTP-12', 'a manifest is cached for a minute', 'cache-control',
              'max-age=60', $mpd);
    $header->('HTTP-12', 'a manifest without Cache-Control', 'cache-control',
              '', $mpd);
    $header->('HTTP-25', 'a manifest without ETag', 'etag', '', $mpd);
    $header->('HTTP-25', 'the ETag changes alone', 'etag', '"x"', $mpd);
    $header->('HTTP-34', 'a manifest without CORS',
              'access-control-allow-origin', '', $mpd);
    $header->('HTTP-34', 'the time without CORS',
              'access-control-allow-origin', '', $time);
    $header->('DASH-6', 'the time may be cached', 'cache-control',
              'max-age=1', $time);
    $header->('HTTP-8', 'a segment is cached for 1 s', 'cache-control',
              'public, max-age=1', $segment);
    $header->('HTTP-34', 'a segment without CORS',
              'access-control-allow-origin', '', $segment);

    fault('timeline', 'DASH-47', 'the time without ms', sub {
        $time->($_[0])->{body} =~ s/\.\d+Z/Z/;
    });
    fault('timeline', 'DASH-47', 'the time is off', sub {
        $time->($_[0])->{body} =~ s/:(\d\d)\./sprintf ':%02d.', $1 + 1/e;
    });
    fault('timeline', 'DASH-6', 'the time is not there', sub {
        $time->($_[0])->{status} = 404;
    });
    fault('timeline', 'DASH-55', 'HLS has another segment at this number', sub {
        my $files = $_[0]{files};

        $files->{'source/seg-f-105.m4s'} =
            delete $files->{'source/seg-e-105.m4s'};
    });
    fault('timeline', 'HTTP-13', 'a 404 is cached', sub {
        my $r = $segment->($_[0]);

        $r->{status} = 404;
        $r->{headers}{'cache-control'} = 'max-age=60';
    });
}
