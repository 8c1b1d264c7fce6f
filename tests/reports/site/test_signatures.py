"""Where titles and signatures of the reference may break."""

from reports.site.signatures import with_breaks

SIGNATURE = '<div class="attr function"><span class="name">a_b</span>{}</div>\n<a class="headerlink" href="#a.b"></a>'


def test_titles_break_after_underscores_and_links_stay():
    html = '<h1 class="modulename"><a href="a_b.html">a_b</a><wbr>.c_d</h1><p>e_f</p>'
    assert with_breaks(html) == (
        '<h1 class="modulename"><a href="a_b.html">a_<wbr>b</a><wbr><span class="last">.c_<wbr>d</span></h1><p>e_f</p>'
    )


def test_signatures_break_after_dots_and_brackets():
    types = '<a href="a.b.html">reports.check.Check</a><span class="p">[</span><span class="n">np</span>'
    assert with_breaks(SIGNATURE.format(types)) == SIGNATURE.format(
        '<a href="a.b.html">reports.<wbr>check.<wbr>Check</a><span class="p">[</span><wbr><span class="n">np</span>'
    )
    assert with_breaks(f"<p>{types}</p>") == f"<p>{types}</p>"


def test_names_of_types_are_those_that_one_writes():
    """The union that pdoc and Pygments show for numpy.typing.ArrayLike becomes that name; a bracket around it stays."""
    private = '<span class="n">numpy</span><span class="o">.</span><span class="n">_typing</span>'
    nested = f'{private}<span class="o">.</span><span class="n">_NestedSequence</span><span class="p">[</span>'
    union = (
        f'<span class="n">Union</span><span class="p">[</span>{private}, {nested}{private}<span class="p">]</span>, '
    )
    either = '<span class="nb">complex</span> <span class="o">|</span> <span class="nb">str</span>'
    shown = with_breaks(SIGNATURE.format(f'{union}{nested}{either}<span class="p">]]],</span>'))
    assert shown == SIGNATURE.format('<span class="n">ArrayLike</span><span class="p">],</span>')


def test_forward_references_are_names():
    forward = '<span class="n">ForwardRef</span><span class="p">(</span><span class="s1">\'Known\'</span>'
    assert with_breaks(SIGNATURE.format(f'{forward}<span class="p">)]</span>')) == SIGNATURE.format(
        '<span class="n">Known</span><span class="p">]</span>'
    )


def test_long_names_in_sentences_break_after_dots():
    name = "reports.judging.scaling.ScalingVerification"
    assert with_breaks(f'<code><a href="x.y.html">{name}</a></code>.') == (
        '<code><a href="x.y.html">reports.<wbr>judging.<wbr>scaling.<wbr>ScalingVerification</a></code>.'
    )
    assert with_breaks("<code>theory.check</code>") == "<code>theory.check</code>"
