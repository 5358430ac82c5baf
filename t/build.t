#!/usr/bin/env perl

# The ways to build: against a source tree of the installed nginx, against one
# that has no nginx installed, with clang; and what a user reads whose nginx
# cannot load the module.

# alone

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Path qw/ remove_tree /;
use Test::More;
use Test::Live;

my $t = Test::Live->new();
my $dir = $t->dir();
my $root = $t->root();

my ($version) = $t->version() =~ m{^nginx version: [^/]*/([\d.]+)};
my $arguments = join ' ', $t->version() =~ /^configure arguments: (.*)$/m;

wrong_nginx();
clang();

my $source = nginx_source();

if (ok($source, "source of nginx $version")) {
    from_source($source);
    from_other_source($source);
}

done_testing();


# --- builds -------------------------------------------------------------------

sub build {
    my ($name, %env) = @_;

    return $t->command({ env => { NGINX_SRC => '', CC => '', %env,
                                  BUILD_DIR => "$dir/$name" } },
                       'bash', "$root/build.sh");
}


# A build that must work, and whose .so the nginx loads.
sub good {
    my ($name, $nginx, %env) = @_;

    my ($code, $output) = build($name, %env);

    is($code, 0, "$name: builds") or diag($output);
    unlike($output, qr/warning:/, "$name: no warning");

    my @modules = grep { -f } ("$dir/$name/ngx_live_module.so");
    is(scalar @modules, 1, "$name: ngx_live_module.so is there");

    # a built-in stream module has no file
    unshift @modules, $t->stream_module() if $nginx eq $t->binary();

    $t->write_file("$name.conf", join '', map { "$_\n" }
                   (map { "load_module $_;" } @modules),
                   "pid $dir/$name.pid;", "error_log stderr;", 'events { }');

    ($code, $output) = $t->command($nginx, '-t', '-p', $dir, '-e', 'stderr',
                                   '-c', "$dir/$name.conf");
    is($code, 0, "$name: loads") or diag($output);
}


sub clang {
    good('clang', $t->binary(), CC => 'clang');
}


sub from_source {
    my ($source) = @_;

    my $before = `ls -lR '$source' | cksum`;

    good('source', $t->binary(), NGINX_SRC => $source);
    is(`ls -lR '$source' | cksum`, $before, 'the tree is left as it was');
}


# An nginx of another version: the tree's is built too.
sub from_other_source {
    my ($source) = @_;

    my $fake = fake_nginx('0.9.9', $arguments);

    good('own', "$dir/own/nginx/objs/nginx",
         NGINX_SRC => $source, NGINX => $fake);
}


# --- an nginx that does not fit -----------------------------------------------

sub wrong_nginx {
    my $without = sub {
        my ($option) = @_;
        (my $rest = $arguments) =~ s/\Q$option\E(?= |$)//;
        return $rest;
    };

    refused('no compat', $version, $without->('--with-compat'),
            qr/^build\.sh: \S+nginx \Q$version\E was built without --with-compat\b.*NGINX_SRC=DIR/);

    refused('no threads', $version, $without->('--with-threads'),
            qr/^build\.sh: \S+nginx \Q$version\E was built without --with-threads\b.*NGINX_SRC=DIR/);

    refused('no headers', '9.9.9', $arguments,
            qr/^build\.sh: .*\b9\.9\.9\b.*NGINX_SRC=DIR/);

    my ($code, $output) = build('none', NGINX => "$dir/nowhere");
    is($code, 1, 'no nginx: refused');
    like($output, qr/^build\.sh: \S+nowhere is not there\n\z/, 'no nginx: why');

    ($code, $output) = build('tree', NGINX_SRC => $dir);
    is($code, 1, 'no tree: refused');
    like($output, qr/^build\.sh: NGINX_SRC=\S+ is not an nginx source tree\n\z/,
         'no tree: why');
}


sub refused {
    my ($name, $says, $options, $pattern) = @_;

    my $fake = fake_nginx($says, $options);
    (my $path = $fake) =~ s{/nginx$}{};

    my ($code, $output) = build('refused', PATH => "$path:$ENV{PATH}");

    is($code, 1, "$name: refused");
    like($output, $pattern, "$name: says so");
    is(() = $output =~ /\n/g, 1, "$name: in one line");
}


sub fake_nginx {
    my ($says, $options) = @_;

    my $path = $t->write_file("fake$says/nginx", <<"SCRIPT");
#!/bin/sh
echo "nginx version: nginx/$says" >&2
[ "\$1" = -v ] || cat >&2 <<'END'
configure arguments: $options
END
SCRIPT

    chmod 0755, $path;

    return $path;
}


# --- the source ---------------------------------------------------------------

# The release's source package, by way of the mirror that apt uses anyway;
# apt's own lists are left alone.
sub nginx_source {
    my $apt = "$dir/apt";
    my %seen;

    my @lines = grep { !$seen{$_}++ }
                `apt-get indextargets --format \\
                     'deb-src \$(SITE) \$(RELEASE) \$(COMPONENT)' \\
                     'Created-By: Packages' 'Origin: Debian' 2>/dev/null`;

    $t->write_file('apt/sources.list', join '', @lines);
    $t->write_file("apt/$_/partial/.keep", '') for qw/ lists cache /;

    my @options = map { ('-o', $_) } (
        "Dir::Etc::SourceList=$apt/sources.list",
        'Dir::Etc::SourceParts=-',
        "Dir::State::Lists=$apt/lists",
        "Dir::Cache=$apt/cache",
        'APT::Sandbox::User=root',
    );

    my ($code, $output) = $t->command('apt-get', @options, '-qq', 'update');
    diag($output) if $code;

    my $archive;

    # security updates come without their source at times; what is unpacked
    # here is the release that all of them patch
    for my $package ('nginx=' . package_version(), 'nginx') {
        ($code, $output) = $t->command(
            'sh', '-c', 'cd "$0" && exec "$@"', $apt,
            'apt-get', @options, '-qq', 'source', '--download-only',
            $package);

        ($archive) = glob "$apt/nginx_$version.orig.tar.*";
        last if $archive;
    }

    return diag($output) && undef unless $archive;

    mkdir "$dir/tree";
    ($code, $output) = $t->command('tar', '-x', '-f', $archive, '-C',
                                   "$dir/tree", '--strip-components=1');

    return $code ? diag($output) && undef : "$dir/tree";
}


sub package_version {
    my $package = `dpkg-query -W -f '\${source:Version}' nginx`;

    return $package;
}
