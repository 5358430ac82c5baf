package Test::Live::Browser;

# Pages in Chromium and what they say of themselves (t/browser/play.js).
#
#     my $conf = Test::Live::Browser::conf(<<'LIVE', 'live');
#         zone 128m;
#         application live { }
#     LIVE
#
#     $t->write_file_expand('nginx.conf', $conf);
#
#     my $browser = Test::Live::Browser->new($t, @urls);
#
#     $t->wait_for(sub { $browser->reports() && ... }, 60, 'picture');
#     $browser->report(0);      # the latest of the first page
#     $browser->crashes();      # uncaught errors of all pages
#     $browser->refused();      # answers of 400 and above
#     $browser->disturbed();    # true: watch once more
#     Test::Live::Browser::is_smooth($report, fps => 30, stall => 100);
#     $browser->check_smooth('hls.js', $report, fps => 30, stall => 100);
#     Test::Live::Browser::errors($report);   # but those of hls.js itself
#     $browser->end();

use strict;
use warnings;

use JSON::PP ();
use Test::More ();

use constant STOLEN => 0.08;    # of the CPUs' time


# conf(LIVE, APPLICATION...): a configuration with that in its live{}; the
# applications are played below their names, and /streams is the API of the
# first one.  /browser/ has t/browser, and all else is the example player.
sub conf {
    my ($live, @applications) = @_;

    my $locations = join '', map { <<"CONF" } @applications;

        location /$_/ {
            live_play $_;
        }
CONF

    return <<"CONF";
%%TEST_GLOBALS%%
worker_processes 2;

events { }

live {
$live}

stream {
    server {
        listen 127.0.0.1:%%PORT_1935%%;
        live_rtmp;
    }
}

http {
    %%TEST_GLOBALS_HTTP%%

    types {
        text/html html;
        text/css css;
        text/javascript js;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;
$locations
        location = /streams {
            live_api $applications[0];
        }

        location /browser/ {
            root %%ROOT%%/t;
        }

        location / {
            root %%ROOT%%/examples/player;
            index index.html;
        }
    }
}
CONF
}


sub new {
    my ($class, $t, @urls) = @_;

    my $self = bless {
        t       => $t,
        name    => 'play' . ++$t->{browsers},
        reports => [ (undef) x @urls ],
        crashes => [],
        refused => [],
        read    => 0,
        cpu     => [ cpu_times() ],
    }, $class;

    $self->{pid} = $t->spawn({ output => "$self->{name}.err",
                               stdout => "$self->{name}.out",
                               env    => {
                                   LIVE_SHOTS => $ENV{LIVE_SHOTS} || '',
                               } },
                             'node', $t->root() . '/t/browser/play.js', @urls);

    return $self;
}


# Takes in what was printed since the last call: true when every page has
# reported.
sub reports {
    my ($self) = @_;

    my $t = $self->{t};
    my $text = $t->read_file("$self->{name}.out") // '';
    my $new = substr $text, $self->{read};

    $new =~ s/[^\n]*\z//;
    $self->{read} += length $new;
    $self->take(JSON::PP::decode_json($_)) for split /\n/, $new;

    die "the browser is gone:\n" . $t->output($self->{pid})
        . $t->read_file("$self->{name}.out")
        unless $t->is_running($self->{pid});

    return !grep { !defined } @{ $self->{reports} };
}


sub take {
    my ($self, $entry) = @_;

    my $page = 'page ' . ($entry->{page} // '-');

    if (defined $entry->{crash}) {
        push @{ $self->{crashes} }, "$page: $entry->{crash}";
        Test::More::diag("$page: $entry->{crash}");

    } elsif (defined $entry->{refused}) {
        push @{ $self->{refused} }, "$page: $entry->{refused}";

    } else {
        $self->{reports}[$entry->{page}] = $entry->{report};
    }
}


sub report {
    my ($self, $n) = @_;

    return $self->{reports}[$n];
}


# The share of the time in which the host had the CPUs, where it is more than a
# little: what players see meanwhile says nothing of a stream.
sub disturbed {
    my ($self) = @_;

    my @now = cpu_times();
    my ($all, $stolen) = map { $now[$_] - $self->{cpu}[$_] } 0, 1;

    my $share = $all ? $stolen / $all : 0;

    $self->{disturbed} = $share > STOLEN ? $share : 0;

    Test::More::diag(sprintf '%d %% of the time were stolen', 100 * $share)
        if $self->{disturbed};

    return $self->{disturbed};
}


# True of a report without more than so many ms of stalls, in which time goes on
# and frames come as published, but for a share that was "stolen".
sub is_smooth {
    my ($r, %limits) = @_;

    my $frames = $r->{played} * $limits{fps};
    my $stolen = $limits{stolen} // 0;

    return $r->{stalledMs} <= $limits{stall} + 1000 * $stolen * $r->{seconds}
           && $r->{played} + $r->{stalledMs} / 1000
              >= (0.9 - $stolen) * $r->{seconds}
           && abs($r->{frames} - $frames) <= (0.1 + $stolen) * $frames;
}


# That it is, as far as the CPUs were ours.
sub check_smooth {
    my ($self, $name, $r, %limits) = @_;

    Test::More::ok(is_smooth($r, %limits, stolen => $self->{disturbed}),
                   "$name: no stall, and frames as published")
        or Test::More::diag("$name: $r->{stalls} stalls of $r->{stalledMs} "
                            . "ms, $r->{seeks} seeks, $r->{frames} frames in "
                            . "$r->{played} s of $r->{seconds}");
}


# Errors that latency.html tells of, without those that hls.js 1.7.4 makes itself
# and from which it goes on.  It tells of each request that it gives up; the
# others are from before it plays:
#
# It goes from 0 to where it begins and says that it jumped over a hole.
#
# It appends to a SourceBuffer that is still busy where parts come very fast
# (its issue 7321).
#
# Its first change of the level comes while a delta update is under way: that has
# null for what it skips and can not be merged, but the audio-stream-controller
# keeps it as the state of the pictures, and reads the start of null.
sub errors {
    my ($report) = @_;

    my $own = qr/bufferSeekOverHole\b
                 |internalException\b.*\bof\ null\b
                 |bufferAppendError\b.*\bstill\ processing\b/x;

    return grep { !/^error (?:aborted\b|$own.* at 0\.0 s$)/ }
           @{ $report->{errors} };
}


# Of all CPUs since the machine's start: (all time, stolen time).
sub cpu_times {
    open my $in, '<', '/proc/stat' or die "no /proc/stat: $!\n";

    my (undef, @times) = split ' ', scalar <$in>;
    my $all = 0;

    $all += $_ for @times[0 .. 7];

    return ($all, $times[7]);
}


sub crashes { return $_[0]{crashes} }

sub refused { return $_[0]{refused} }

sub pid { return $_[0]{pid} }


sub end {
    my ($self) = @_;

    $self->{t}->end($self->{pid});
}


1;
