//! The screen, drawn: readable in 80 columns.

use ratatui::Frame;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Row, Table};

use super::super::table::{bytes, span};
use super::model::{Gene, Screen};

/// The width for those who have no terminal.
const WIDTH: u16 = 80;
/// Lines above the genes.
const HEAD: u16 = 6;
/// Cells of the bar of memory.
const BAR: usize = 20;

const HEADING: [&str; 11] =
    ["GENE", "ROLE", "READY", "BUSY", "WAIT", "REQ/S", "P50", "P99", "DELAY", "WANT", "GROWTH"];
const WIDTHS: [u16; 11] = [14, 5, 5, 4, 4, 7, 6, 6, 6, 5, 6];

/// Draws a screen whose first gene is the one at `first`.
pub(super) fn frame(frame: &mut Frame<'_>, screen: &Screen, first: usize) {
    let places = Layout::vertical([Constraint::Length(HEAD), Constraint::Min(2), Constraint::Length(1)]);
    let [head, genes, foot] = places.areas(frame.area());
    frame.render_widget(Paragraph::new(self::head(screen)), head);
    frame.render_widget(table(screen, first), genes);
    let fits = usize::from(genes.height.saturating_sub(1));
    let hidden = screen.genes.len().saturating_sub(fits);
    let text =
        if hidden > 0 { format!("q ends it; {hidden} more genes: arrow keys") } else { "q ends it".into() };
    frame.render_widget(Paragraph::new(text).style(Style::new().add_modifier(Modifier::DIM)), foot);
}

/// The same as text, with all genes.
pub(super) fn text(screen: &Screen) -> String {
    let height = u16::try_from(screen.genes.len()).unwrap_or(u16::MAX).saturating_add(HEAD + 2);
    let Ok(mut terminal) = Terminal::new(TestBackend::new(WIDTH, height));
    let Ok(drawn) = terminal.draw(|place| frame(place, screen, 0));
    let mut text = String::new();
    // Without the last line, which is about keys.
    for row in drawn.buffer.content().chunks(usize::from(WIDTH)).take(usize::from(height - 1)) {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn head(screen: &Screen) -> Vec<Line<'static>> {
    let Screen { organism, version, url, pid, .. } = screen;
    let up = span(screen.up_ms);
    let title = format!("cyte  {organism} version {version}  up {up}  {url}  pid {pid}");
    let requests = format!(
        "requests  {}/s  refused {}/s  connections {}",
        rate(screen.requests_per_s),
        rate(screen.refused_per_s),
        screen.open
    );
    let memory = format!(
        "memory    {}  {} of {}",
        bar(screen.memory_bytes, screen.memory_max_bytes),
        bytes(screen.memory_bytes),
        bytes(screen.memory_max_bytes)
    );
    let roles: Vec<String> = screen
        .roles
        .iter()
        .map(|(role, cells)| format!("{role} {} ({} ready)", cells.ready + cells.busy, cells.ready))
        .collect();
    let cells = format!("cells     {} of {}  {}", screen.cells, screen.cells_max, roles.join(", "));
    let bold = Style::new().add_modifier(Modifier::BOLD);
    vec![
        Line::styled(title, bold),
        Line::raw(requests),
        Line::raw(memory),
        Line::raw(cells),
        Line::raw(stems(screen)),
        Line::raw(""),
    ]
}

fn stems(screen: &Screen) -> String {
    let Some(stems) = &screen.stems else { return "stems     -".to_owned() };
    let busy = stems.busy_permille;
    let suppressed = if stems.is_suppressed { "  growth suppressed" } else { "" };
    format!(
        "stems     {} of {}  room {}  run delay {}  busy {}.{} %{suppressed}",
        stems.now,
        stems.goal,
        stems.room,
        time(Some(stems.run_delay_us)),
        busy / 10,
        busy % 10
    )
}

fn table(screen: &Screen, first: usize) -> Table<'static> {
    let rows = screen.genes.iter().skip(first).map(|gene| Row::new(row(gene)).style(style(gene)));
    let heading = HEADING.iter().zip(WIDTHS).enumerate().map(|(at, (name, width))| side(at, name, width));
    Table::new(rows.collect::<Vec<_>>(), WIDTHS.map(Constraint::Length))
        .header(Row::new(heading.collect::<Vec<_>>()).style(Style::new().add_modifier(Modifier::REVERSED)))
        .column_spacing(1)
}

/// Requests that wait are worth a look.
fn style(gene: &Gene) -> Style {
    if gene.cells.waiting > 0 { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() }
}

fn row(gene: &Gene) -> Vec<String> {
    let float = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.1}"));
    let level = gene.growth.map_or_else(|| "-".to_owned(), |level| format!("{level:+.2}"));
    let cells = [
        gene.gene.clone(),
        gene.role.clone(),
        gene.cells.ready.to_string(),
        gene.cells.busy.to_string(),
        gene.cells.waiting.to_string(),
        rate(gene.requests_per_s),
        time(gene.p50_us),
        time(gene.p99_us),
        time(gene.delay_us),
        float(gene.wanted),
        level,
    ];
    cells.iter().zip(WIDTHS).enumerate().map(|(at, (cell, width))| side(at, cell, width)).collect()
}

/// Names on the left, numbers on the right; what does not fit is cut and says so.
fn side(at: usize, text: &str, width: u16) -> String {
    let width = usize::from(width);
    if at > 1 {
        return format!("{text:>width$}");
    }
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['~']).collect()
}

/// At most six characters.
fn time(us: Option<u64>) -> String {
    match us {
        None => "-".to_owned(),
        Some(us @ 0..1_000) => format!("{us}us"),
        Some(us @ 1_000..10_000) => format!("{}.{}ms", us / 1_000, us / 100 % 10),
        Some(us @ 10_000..1_000_000) => format!("{}ms", us / 1_000),
        Some(us) => format!("{}s", us / 1_000_000),
    }
}

/// At most seven characters.
fn rate(per_s: Option<f64>) -> String {
    match per_s {
        None => "-".to_owned(),
        Some(number) if number < 99.95 => format!("{number:.1}"),
        Some(number) if number < 999_999.5 => format!("{number:.0}"),
        Some(number) => format!("{:.1}M", number / 1e6),
    }
}

fn bar(part: u64, whole: u64) -> String {
    let full = part.saturating_mul(BAR as u64).checked_div(whole).unwrap_or(0).min(BAR as u64) as usize;
    format!("[{}{}]", "#".repeat(full), ".".repeat(BAR - full))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::model::tests::{hormones, look};
    use std::time::Instant;

    fn screen() -> Screen {
        let start = Instant::now();
        let (before, now) = (look(start, 0, 0, None), look(start, 1_000, 1_234, Some(hormones())));
        Screen::of(&now, Some(&before))
    }

    #[test]
    fn a_screen_reads_so() {
        let expected = "\
cyte  shop version 3  up 2h  http://127.0.0.1:8080  pid 77
requests  1234/s  refused 123/s  connections 12
memory    [#####...............]  12.3MiB of 49.2MiB
cells     10 of 1024  drone 10 (6 ready), task 0 (0 ready)
stems     14 of 16  room 90  run delay 150us  busy 45.6 %  growth suppressed

GENE           ROLE  READY BUSY WAIT   REQ/S    P50    P99  DELAY  WANT GROWTH
front          drone     3    2    1    1234  120us  4.2ms  2.5ms  12.3  -0.46
a-gene-with-a~ drone     3    2    1     0.0  120us  4.2ms      -     -      -
tidy           task      0    0    0       -      -      -      -     -      -
";
        assert_eq!(text(&screen()), expected);
    }

    #[test]
    fn a_small_terminal_shows_what_fits_and_the_rest_by_keys() {
        let mut terminal = Terminal::new(TestBackend::new(80, 10)).unwrap();
        let shown = |terminal: &Terminal<TestBackend>| terminal.backend().to_string();
        terminal.draw(|place| frame(place, &screen(), 0)).unwrap();
        assert!(shown(&terminal).contains("front") && !shown(&terminal).contains("tidy"));
        assert!(shown(&terminal).contains("1 more genes: arrow keys"), "{}", shown(&terminal));
        terminal.draw(|place| frame(place, &screen(), 1)).unwrap();
        assert!(!shown(&terminal).contains("front") && shown(&terminal).contains("tidy"));
        let mut tiny = Terminal::new(TestBackend::new(3, 2)).unwrap();
        tiny.draw(|place| frame(place, &screen(), 9)).unwrap();
    }

    #[test]
    fn numbers_stay_inside_their_columns() {
        for us in [0, 999, 1_000, 9_999, 10_000, 999_999, 1_000_000, 99_999_000_000] {
            assert!(time(Some(us)).len() <= 6, "{us}: {}", time(Some(us)));
        }
        for per_s in [0.0, 99.94, 99.96, 12_345.6, 999_999.4, 999_999.6, 99_999_999.0] {
            assert!(rate(Some(per_s)).len() <= 7, "{per_s}: {}", rate(Some(per_s)));
        }
        assert_eq!((bar(0, 0).len(), bar(9, 3).len()), (BAR + 2, BAR + 2));
    }
}
