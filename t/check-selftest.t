#!/usr/bin/env perl

# The checks of HLS and DASH find what they say they find: a stream that keeps
# all rules is not complained of, and each fault put into it is, under the
# number of its rule.

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use Storable qw/ dclone /;
use Test::Live::Check::HLS;
use Test::Live::Model;
use Test::More;

# Most of what is checked again and again is as it was.
cached('M3U8', 'parse');
cached('MP4', 'segment');

my $clean = Test::Live::Model->crawl();
my $result = Test::Live::Check::HLS->check(dclone($clean));

is_deeply($result->{violations}, [], 'HLS: no complaint of the clean stream');
is_deeply($result->{timing}, [], 'HLS: nor of its pace');

# the checks have something to look at
for my $what (qw/ versions deltas blocked hints reports parts segments inits
                  concatenations /, 'deltas merged', 'files again')
{
    cmp_ok($result->{counts}{$what} // 0, '>', 1, "HLS: $what were checked");
}

hls_single();
hls_versions();
hls_files();
hls_headers();

done_testing();


sub cached {
    my ($package, $name) = @_;

    no strict 'refs';
    no warnings 'redefine';

    my %cache;
    my $original = \&{"Test::Live::${package}::$name"};

    *{"Test::Live::${package}::$name"} = sub {
        return $cache{$_[1]} ||= $original->(@_);
    };
}


# --- HLS ----------------------------------------------------------------------

# fault(RULE, WHAT, SUB): the sub breaks the crawl.
sub fault {
    my ($rule, $what, $break) = @_;

    my $crawl = dclone($clean);

    $break->($crawl);

    my $got = Test::Live::Check::HLS->check($crawl);

    ok(scalar(grep { /: \Q$rule\E: / } @{ $got->{violations} }),
       "$rule: $what")
        or diag(join "\n", 'found instead:',
                grep { defined } @{ $got->{violations} }[0 .. 9]);
}


# Changes the text of versions of the video: those from the nth answer on, or
# those that the sub takes; tags of the text stay true.
sub text {
    my ($rule, $what, $change, $which) = @_;

    fault($rule, $what, sub {
        my ($crawl) = @_;

        my $n = 0;
        my $changed = 0;

        for my $r (@{ $crawl->{playlists}{source} }) {
            next if $which && !$which->($r, $n++);

            my $before = $r->{body};

            for ($r->{body}) { $change->($r) }
            $changed++ if $before ne $r->{body};
            $r->{headers}{etag} = '"' . md5_hex($r->{body}) . '"';
        }

        fail("$rule: $what changes nothing") unless $changed;
    });
}


sub late { return $_[1] > 200 }

sub one { return $_[1] == 200 }

sub delta { return $_[0]{body} =~ /^#EXT-X-SKIP/m }

sub full { return $_[0]{body} !~ /^#EXT-X-SKIP/m }

sub ended { return $_[0]{body} =~ /^#EXT-X-ENDLIST/m }


# What one version shows.
sub hls_single {
    text('HLS-1', 'no #EXTM3U', sub { s/\A#EXTM3U\n// });
    text('HLS-1', 'a control character', sub { s/\n/\x00\n/ });
    text('HLS-1', 'the last line has no end', sub { s/\n\z// });
    text('HLS-2', 'an attribute twice', sub { s/(CAN-BLOCK-RELOAD=YES)/$1,$1/ });
    text('HLS-2', 'a space in a list', sub { s/CAN-BLOCK/ CAN-BLOCK/ });
    text('HLS-3', 'a tag twice', sub { s/(#EXT-X-TARGET.*\n)/$1$1/ });
    text('HLS-4', 'version too low', sub { s/VERSION:9/VERSION:5/ });
    text('HLS-4', 'version too high', sub { s/VERSION:9/VERSION:12/ });
    text('HLS-4', 'version without SKIP', sub { s/VERSION:9/VERSION:6/ },
         \&delta);
    text('HLS-7', 'no TARGETDURATION', sub { s/#EXT-X-TARGET.*\n// });
    text('HLS-7', 'TARGETDURATION after PART-INF',
         sub { s/(#EXT-X-TARGET.*\n)(.*\n)(.*\n)/$2$3$1/ });
    text('HLS-7', 'MEDIA-SEQUENCE at the end',
         sub { s/(#EXT-X-MEDIA-SEQUENCE\N*\n)(.*)/$2$1/s });
    text('HLS-7', 'a part after the hint',
         sub { s/(#EXT-X-PART:.*\n)(#EXT-X-PRELOAD-HINT.*\n)/$2$1/ });
    text('HLS-8', 'a segment over the target',
         sub { s/EXTINF:2\.00000/EXTINF:2.50000/ });
    text('HLS-10', 'EXTINF of 2 decimals', sub { s/(EXTINF:2\.00)000/$1/ });
    text('HLS-21', 'a date is missing', sub { s/#EXT-X-PROGRAM.*\n// });
    text('HLS-21', 'a date is off',
         sub { s/(#EXT-X-PROGRAM.*?)\.000Z(.*)/$1.005Z$2/s });
    text('HLS-21', 'the date of the open segment is off',
         sub { s/(.*#EXT-X-PROGRAM.*?)\.000Z/$1.005Z/s });
    text('HLS-24', 'MAP without URI', sub { s/MAP:URI=/MAP:X=/ });
    text('HLS-19', 'MAP without DISCONTINUITY',
         sub { s/#EXT-X-DISCONTINUITY\n// });
    text('HLS-29', 'a hint beside ENDLIST',
         sub { $_ .= "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"x\"\n" }, \&ended);
    text('HLS-49', 'PART-HOLD-BACK under 3 parts',
         sub { s/PART-HOLD-BACK=1.500/PART-HOLD-BACK=1.499/ });
    text('HLS-49', 'HOLD-BACK under 3 targets',
         sub { s/,HOLD-BACK=6.000/,HOLD-BACK=5.999/ });
    text('HLS-49', 'CAN-SKIP-UNTIL under 6 targets',
         sub { s/UNTIL=12.000/UNTIL=11.999/ });
    text('HLS-49', 'no CAN-BLOCK-RELOAD', sub { s/CAN-BLOCK-RELOAD=YES,// });
    text('HLS-49', 'no SERVER-CONTROL', sub { s/#EXT-X-SERVER.*\n// });
    text('HLS-50', 'a part 10 us over PART-TARGET',
         sub { s/DURATION=0.50000/DURATION=0.50001/ });
    text('HLS-50', 'parts without PART-INF', sub { s/#EXT-X-PART-INF.*\n// });
    text('HLS-51', 'a part under 85 %',
         sub { s/DURATION=0.50000(,URI="seg-e-\d+\.1)/DURATION=0.42499$1/ });
    text('HLS-52', 'parts shorter than their segment',
         sub { s/DURATION=0.50000(,URI="seg-e-\d+\.3)/DURATION=0.45000$1/ });
    text('HLS-52', 'MAP after a part',
         sub { s/(#EXT-X-PART:.*\n)/$1#EXT-X-MAP:URI="x"\n/ });
    text('HLS-52', 'a date after a part',
         sub { s/(#EXT-X-PROGRAM.*\n)(#EXT-X-PART:.*\n)/$2$1/ });
    text('HLS-52', 'DISCONTINUITY after a part',
         sub { s/(#EXT-X-DISCONTINUITY\n)((?:.*\n){2})(#EXT-X-PART:.*\n)/$2$3$1/ });
    text('HLS-52', 'a part without DURATION', sub { s/PART:DURATION=[\d.]+,/PART:/ });
    text('HLS-52', 'a part after EXTINF',
         sub { s/(#EXT-X-PART:.*\n)(#EXTINF.*\n)/$2$1/ });
    text('HLS-52', 'INDEPENDENT=NO', sub { s/INDEPENDENT=YES/INDEPENDENT=NO/ });
    text('HLS-53', 'no hint', sub { s/#EXT-X-PRELOAD.*\n// });
    text('HLS-53', 'two hints', sub { s/(#EXT-X-PRELOAD.*\n)/$1$1/ });
    text('HLS-53', 'a hint without URI', sub { s/TYPE=PART,URI=".*"/TYPE=PART/ });
    text('HLS-54', 'a report with a host',
         sub { s{URI="\.\./audio}{URI="http://a/audio} });
    text('HLS-54', 'a report without LAST-MSN', sub { s/LAST-MSN=\d+,// });
    text('HLS-54', 'a report without LAST-PART', sub { s/,LAST-PART=\d+// });
    text('HLS-55', 'SKIP of nothing', sub { s/SEGMENTS=\d+/SEGMENTS=0/ },
         \&delta);
    text('HLS-55', 'SKIP without CAN-SKIP-UNTIL',
         sub { s/,CAN-SKIP-UNTIL=12.000// });
    text('HLS-69', 'part 0 is not INDEPENDENT', sub { s/,INDEPENDENT=YES//g });

    fault('HLS-34', 'no variant', sub {
        $_[0]{multivariant}[0]{body} =~ s/#EXT-X-STREAM(?:.*\n){2}//;
    });
    fault('HLS-48', 'the audio is listed late', sub {
        my $list = $_[0]{multivariant};

        push @$list, dclone($list->[0]);
        $list->[0]{body} =~ s/#EXT-X-MEDIA.*\n//;
        $list->[0]{body} =~ s/,AUDIO="a"//;
    });
    fault('HLS-48', 'the multivariant playlist goes away', sub {
        $_[0]{multivariant}[0]{status} = 404;
    });
}


# What may not change from version to version, or differs from what was said.
sub hls_versions {
    text('HLS-8', 'TARGETDURATION changes',
         sub { s/TARGETDURATION:2/TARGETDURATION:3/ }, \&late);
    text('HLS-49', 'SERVER-CONTROL changes',
         sub { s/,HOLD-BACK=6/,HOLD-BACK=7/ }, \&late);
    text('HLS-50', 'PART-TARGET changes',
         sub { s/PART-TARGET=0.500/PART-TARGET=0.501/;
               s/BACK=1.500/BACK=1.503/ }, \&late);
    text('HLS-11', 'a segment that was removed is listed again', sub {
        local $Test::Live::Model::WINDOW = 12;
        my ($n, $k) = /HINT.*seg-e-(\d+)\.(\d)\.m4s/;

        $_ = Test::Live::Model::playlist('source', $n - 100, $k, 0);
    }, sub { return full(@_) && late(@_) && !ended(@_) });
    text('HLS-12', 'a segment has another URI',
         sub { s/^seg-e-(\d+)\.m4s/seg-f-$1.m4s/mg }, \&late);
    text('HLS-13', 'a segment lasts longer',
         sub { s/EXTINF:2\.00000/EXTINF:2.00100/ }, \&late);
    text('HLS-13', 'a segment becomes a GAP',
         sub { s/(#EXTINF:2)/#EXT-X-GAP\n$1/ }, \&late);
    text('HLS-13', 'INDEPENDENT-SEGMENTS goes',
         sub { s/#EXT-X-INDEPENDENT-SEGMENTS\n// }, \&late);
    text('HLS-13', 'a part has another URI',
         sub { s/(URI="seg-)e(-\d+\.1)/$1f$2/ }, \&late);
    text('HLS-13', 'a part lasts shorter',
         sub { s/DURATION=0.50000/DURATION=0.49999/ }, \&late);
    text('HLS-13', 'the first part of a segment is gone',
         sub { s/#EXT-X-PART:.*\n// }, \&late);
    text('HLS-13', 'no parts near the edge',
         sub { s/#EXT-X-PART.*\n(?=(?:#EXT-X-PART.*\n)*#EXTINF)//g });
    text('HLS-16', 'the window shrinks', \&shrink, \&late);
    text('HLS-18', 'old parts are listed', sub {
        s/^(#EXT-X-PROGRAM.*\n)(#EXTINF.*\nseg-e-(\d+)\.m4s)/
            $1 . join("\n", map { Test::Live::Model::part($3, $_) } 0 .. 3)
            . "\n$2"/me;
    });
    text('HLS-20', 'a discontinuity more', sub {
        s/(.*)(#EXT-X-PROGRAM)/$1#EXT-X-DISCONTINUITY\n$2/s;
    }, \&one);
    text('HLS-20', 'DISCONTINUITY-SEQUENCE not counted',
         sub { s/(Y-SEQUENCE:)1/${1}0/ });
    text('HLS-20', 'DISCONTINUITY-SEQUENCE counted early',
         sub { s/(Y-SEQUENCE:)0/${1}1/ }, \&late);
    text('HLS-53', 'another part comes than was hinted',
         sub { s/(HINT:.*seg-e-\d+)\.2/$1.3/ });
    text('HLS-53', 'a hinted part that never comes', sub {
        my ($last) = /.*(seg-e-\d+)\.m4s\n/s;
        my ($number) = $last =~ /(\d+)$/;
        s/(HINT:.*URI=").*"/$1seg-e-$number.4.m4s"/
            unless /^#EXT-X-PART:(?!.*EXTINF).*\n#EXT-X-PRELOAD/m;
    });
    text('HLS-54', 'a report is ahead',
         sub { s/(LAST-MSN=)(\d+)/$1 . ($2 + 1)/e }, \&late);
    text('HLS-54', 'a report is behind',
         sub { s/(LAST-MSN=)(\d+)/$1 . ($2 - 1)/e }, \&late);
    text('HLS-54', 'a report of a part that is not',
         sub { s/LAST-PART=\d/LAST-PART=9/ });
    text('HLS-54', 'no report', sub { s/#EXT-X-RENDITION.*\n// }, \&late);
    text('HLS-54', 'a report of itself',
         sub { s{\.\./audio}{../source} }, \&late);
    text('HLS-55', 'a delta that misses a segment',
         sub { s/#EXTINF.*\nseg.*\n// }, \&delta);
    text('HLS-55', 'a delta with the sequence of what is left',
         sub { s/(INDEPENDENT.*\n#EXT-X-SKIP)/#EXT-X-BITRATE:9\n$1/ }, \&delta);
    text('HLS-55', 'a delta that was not asked for', sub {
        my ($r) = @_;
        $_ = Test::Live::Model::delta($_) unless $r->{skip};
    });
    text('HLS-56', 'one segment too many is skipped', sub {
        s/(SKIPPED-SEGMENTS=)(\d+)\n(.*?\nseg.*?\n)/$1 . ($2 + 1) . "\n"/se;
    }, \&delta);
    text('HLS-56', 'no delta where it was asked for',
         sub { my ($r) = @_; $_ = $r->{full} }, sub {
             my ($r) = @_;
             return unless delta($r);
             ($r->{full}) = map { $_->{body} }
                 grep { ($_->{part} // -1) == $r->{part} && $_->{msn} == $r->{msn}
                        && !$_->{skip} } grep { defined $_->{msn} }
                 @{ $clean->{playlists}{source} };
         });

    fault('HLS-29', 'ENDLIST goes away', sub {
        my $answers = $_[0]{playlists}{source};
        my $r = dclone($answers->[-1]);

        $r->{started} += 4;
        $r->{done} += 4;
        $r->{body} = Test::Live::Model::playlist('source',
                         $Test::Live::Model::SEGMENTS, 0, 0);
        push @$answers, $r;
    });
    fault('HLS-13', 'an older version after a newer one', sub {
        my $answers = $_[0]{playlists}{source};
        my $r = dclone($answers->[100]);

        $r->{$_} = $answers->[200]{$_} for qw/ started done /;
        push @$answers, $r;
    });
    fault('HLS-62', 'an answer without the part that was asked for', sub {
        $_->{part}++ for grep { defined $_->{part} && $_->{part} < 3 }
                         @{ $_[0]{playlists}{source} };
    });
    fault('HLS-62', 'an answer without the segment that was asked for', sub {
        $_->{msn}++ for grep { defined $_->{msn} && !defined $_->{part} }
                        @{ $_[0]{playlists}{source} };
    });
    fault('HLS-60', 'a request for the next part is refused', sub {
        $_[0]{playlists}{source}[200]{status} = 400;
    });
    fault('HLS-48', 'a playlist goes away', sub {
        $_[0]{playlists}{source}[200]{status} = 404;
    });
    fault('HLS-48', 'a request is given up at once', sub {
        my $r = $_[0]{playlists}{source}[200];

        @$r{qw/ status msn started /} = (503, 1, $r->{done} - 0.5);
    });
    fault('HLS-9', 'another target in the audio', sub {
        $$_ =~ s/TARGETDURATION:2/TARGETDURATION:3/
            for map { \$_->{body} } @{ $_[0]{playlists}{audio} };
    });
    fault('HLS-46', 'audio begins its segments later', sub {
        $$_ =~ s/(TIME:.*?)\.000Z/$1.040Z/g
            for map { \$_->{body} } @{ $_[0]{playlists}{audio} };
    });
    fault('HLS-20', 'no discontinuity in the audio', sub {
        $$_ =~ s/#EXT-X-DISCONTINUITY\n//, $$_ =~ s/Y-SEQUENCE:1/Y-SEQUENCE:0/
            for map { \$_->{body} } @{ $_[0]{playlists}{audio} };
    });

    away();

    my $crawl = dclone($clean);
    my $answers = $crawl->{playlists}{source};

    @$answers = grep { !($_->{body} =~ /EXTINF.*\nseg-e-115\.m4s/
                         && $_->{body} !~ /EXTINF.*\nseg-e-116\.m4s/) }
                @$answers;

    my $got = Test::Live::Check::HLS->check($crawl);

    ok(scalar(grep { /HLS-15/ } @{ $got->{timing} }),
       'HLS-15: nothing new for two seconds is counted');
}


# While there is no publisher, and only then, a playlist may be without a hint
# and answer at once.
sub away {
    my $crawl = dclone($clean);

    for my $r (grep { $_->{done} > $Test::Live::Model::EPOCH + 47.99 }
               @{ $crawl->{playlists}{source} })
    {
        next unless $r->{body} =~ s/#EXT-X-ENDLIST\n//;

        @$r{qw/ msn part /} = (124, 0);
        $r->{headers}{etag} = '"' . md5_hex($r->{body}) . '"';
    }

    my $got = Test::Live::Check::HLS->check(dclone($crawl));

    for my $rule ('HLS-53: no hint', 'HLS-62') {
        ok(scalar(grep { /\Q$rule\E/ } @{ $got->{violations} }),
           "$rule: with a publisher");
    }

    $crawl->{away} = [ [ $Test::Live::Model::EPOCH + 47, 9e9 ] ];
    $got = Test::Live::Check::HLS->check($crawl);

    is_deeply([ grep { /HLS-53|HLS-62/ } @{ $got->{violations} } ], [],
              'HLS-53, HLS-62: without a publisher there is no hint');
}


sub shrink {
    my $drop = (() = /^#EXTINF/mg) - 2;

    s/(MEDIA-SEQUENCE:)(\d+)/$1 . ($2 + $drop)/e;
    s/(#EXT-X-MAP.*?\n)(?:.*?^seg-e-\d+\.m4s\n){$drop}/$1/ms;
}


# Files that are not what the playlists say.
sub hls_files {
    my $file = sub { return $_[0]{files}{"source/$_[1]"}{answers} };

    fault('HLS-17', 'a removed segment is gone', sub {
        $file->($_[0], 'seg-e-101.m4s')[1]{status} = 404;
    });
    fault('HLS-17', 'a removed segment has other bytes', sub {
        $file->($_[0], 'seg-e-101.m4s')[1]{body} .= 'x';
    });
    fault('HLS-48', 'a listed segment is not there', sub {
        $file->($_[0], 'seg-e-101.m4s')[0]{status} = 404;
    });
    fault('HLS-65', 'a hinted part is not waited for', sub {
        $file->($_[0], 'seg-e-101.1.m4s')[0]{status} = 404;
    });
    fault('HLS-67', 'a part has other bytes than the segment', sub {
        substr($file->($_[0], 'seg-e-101.1.m4s')[0]{body}, -1) = 'x';
    });
    fault('HLS-10', 'a segment is shorter than its EXTINF', sub {
        replace_last_duration($file->($_[0], 'seg-e-101.m4s')[0], 2000);
    });
    fault('HLS-52', 'a part is shorter than its DURATION', sub {
        replace_last_duration($file->($_[0], 'seg-e-101.1.m4s')[0], 2000);
    });
    fault('CMAF-14', 'a hole between two parts', sub {
        replace_last_duration($file->($_[0], 'seg-e-101.1.m4s')[0], 2999);
    });
    fault('CMAF-14', 'a segment begins late', sub {
        $_->{body} =~ s/(tfdt\x01\0{3})(.{8})/
            $1 . pack 'Q>', 1 + unpack 'Q>', $2/sge
            for @{ $file->($_[0], 'seg-e-103.m4s') };
    });
    fault('CMAF-13', 'a segment without a sync sample', sub {
        $_->{body} =~ s/\x20\x02\0\0\0/\x20\x01\x01\0\0/
            for @{ $file->($_[0], 'seg-e-103.m4s') };
    });
    fault('HLS-52', 'INDEPENDENT without a sync sample', sub {
        $file->($_[0], 'seg-e-103.0.m4s')[0]{body}
            =~ s/\x20\x02\0\0\0/\x20\x01\x01\0\0/;
    });
    fault('HLS-52', 'a sync sample, but not INDEPENDENT', sub {
        $file->($_[0], 'seg-e-103.1.m4s')[0]{body}
            =~ s/\x20\x01\x01\0\0/\x20\x02\0\0\0/;
    });
    fault('CMAF-7', 'an mdat that is too long', sub {
        $_->{body} =~ s/(.{4})(mdat)/pack('N', 4 + unpack 'N', $1) . $2/se,
            $_->{body} .= 'xxxx' for @{ $file->($_[0], 'seg-e-103.m4s') };
    });
    fault('CMAF-2', 'an init segment without trex', sub {
        $file->($_[0], 'init-e-1.mp4')[0]{body} =~ s/trex/xert/;
    });
    fault('HLS-21', 'samples are not at their date', sub {
        for my $path (grep { /source.seg-e-1(?:0[89]|1)/ }
                      keys %{ $_[0]{files} })
        {
            next if $path =~ /108/;
            $_->{body} =~ s/(tfdt\x01\0{3})(.{8})/
                $1 . pack 'Q>', 900 + unpack 'Q>', $2/sge
                for @{ $_[0]{files}{$path}{answers} };
        }
    });
    fault('HLS-21', 'audio has another clock', sub {
        for my $path (grep { /audio.seg-e-/ } keys %{ $_[0]{files} }) {
            $_->{body} =~ s/(tfdt\x01\0{3})(.{8})/
                $1 . pack 'Q>', 480 + unpack 'Q>', $2/sge
                for @{ $_[0]{files}{$path}{answers} };
        }
    });
}


# The last sample of the last chunk: its duration is 12 bytes before mdat.
sub replace_last_duration {
    my ($r, $ticks) = @_;

    my $at = rindex($r->{body}, 'mdat') - 4 - 12;

    substr($r->{body}, $at, 4) = pack 'N', $ticks;
}


sub hls_headers {
    my $header = sub {
        my ($rule, $what, $name, $value, $which) = @_;

        fault($rule, $what, sub { $which->($_[0])->{headers}{$name} = $value });
    };
    my $poll = sub {
        return (grep { !defined $_->{msn} }
                @{ $_[0]{playlists}{source} })[5];
    };
    my $blocked = sub {
        return (grep { defined $_->{msn} }
                @{ $_[0]{playlists}{source} })[5];
    };
    my $segment = sub {
        return $_[0]{files}{'source/seg-e-101.m4s'}{answers}[1];
    };

    $header->('HTTP-2', 'a plain playlist is cached for 2 s', 'cache-control',
              'max-age=2', $poll);
    $header->('HTTP-2', 'a plain playlist without Cache-Control',
              'cache-control', '', $poll);
    $header->('HTTP-3', 'a blocked answer is cached for ever', 'cache-control',
              'public, max-age=31536000', $blocked);
    $header->('HTTP-8', 'a segment is cached for 1 s', 'cache-control',
              'public, max-age=1', $segment);
    $header->('HTTP-25', 'the ETag of a segment changes', 'etag', '"other"',
              $segment);
    $header->('HTTP-25', 'a weak ETag of a segment', 'etag', 'W/"other"',
              $segment);
    $header->('HTTP-25', 'a playlist without ETag', 'etag', '', $poll);
    $header->('HTTP-34', 'a playlist without CORS',
              'access-control-allow-origin', '', $poll);
    $header->('HTTP-34', 'a segment without CORS',
              'access-control-allow-origin', '', $segment);
    $header->('HTTP-35', 'Age is not exposed',
              'access-control-expose-headers', 'Date', $poll);
    $header->('HLS-1', 'a playlist is text', 'content-type', 'text/plain',
              $poll);
    $header->('HLS-92', 'a segment is text', 'content-type', 'text/plain',
              $segment);

    fault('HTTP-13', 'a 404 is cached for a minute', sub {
        my $r = $_[0]{playlists}{source}[200];

        $r->{status} = 404;
        $r->{headers}{'cache-control'} = 'max-age=60';
    });
    fault('HTTP-25', 'one ETag for two texts', sub {
        $_->{headers}{etag} = '"same"'
            for grep { !defined $_->{msn} } @{ $_[0]{playlists}{source} };
    });
    fault('HTTP-25', 'two ETags for a text', sub {
        my $answers = $_[0]{playlists}{source};
        my $r = dclone($poll->($_[0]));

        $r->{headers}{etag} = '"another"';
        push @$answers, $r;
    });
}
