package Test::Live::Browser;

# Pages in Chromium and what they say of themselves (t/browser/play.js).
#
#     my $browser = Test::Live::Browser->new($t, @urls);
#
#     $t->wait_for(sub { $browser->reports() && ... }, 60, 'picture');
#     $browser->report(0);      # the latest of the first page
#     $browser->crashes();      # uncaught errors of all pages
#     $browser->refused();      # answers of 400 and above
#     $browser->end();

use strict;
use warnings;

use JSON::PP ();
use Test::More ();


sub new {
    my ($class, $t, @urls) = @_;

    my $self = bless {
        t       => $t,
        name    => 'play' . ++$t->{browsers},
        reports => [ (undef) x @urls ],
        crashes => [],
        refused => [],
        read    => 0,
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


sub crashes { return $_[0]{crashes} }

sub refused { return $_[0]{refused} }

sub pid { return $_[0]{pid} }


sub end {
    my ($self) = @_;

    $self->{t}->end($self->{pid});
}


1;
