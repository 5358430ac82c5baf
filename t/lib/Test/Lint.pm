package Test::Lint;

# What the checks of t/lint share.  They run in the project's folder.

use strict;
use warnings;

use Exporter 'import';
use File::Find;
use Test::More;

our @EXPORT = qw/ build_dir files slurp none /;

our @PURE = qw/ base proto media manifest /;


sub build_dir {
    return $ENV{BUILD_DIR} || 'build';
}


# Files below the folders, sorted, whose path matches.
sub files {
    my ($pattern, @dirs) = @_;

    my @found;

    find({
        no_chdir    => 1,
        preprocess  => sub {
            return grep { !/^(\.git|build|node_modules)$/ } @_;
        },
        wanted      => sub {
            (my $path = $File::Find::name) =~ s{^\./}{};
            push @found, $path if -f && $path =~ $pattern;
        },
    }, grep { -e } @dirs);

    return sort @found;
}


sub slurp {
    my ($file) = @_;

    open my $in, '<', $file or die "cannot read $file: $!\n";
    local $/;

    return scalar <$in>;
}


# One test: passes when the list of complaints is empty.
sub none {
    my ($name, @complaints) = @_;

    ok(!@complaints, $name) or diag(join "\n", @complaints);
}


1;
