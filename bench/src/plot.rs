//! Commands per second by the number of clients, as an SVG.

use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::*;

use crate::results::Results;

const LINES: &[(&str, &str, RGBColor)] = &[
    ("pgbench/insert/", "PostgreSQL: bare insert (pgbench)", RGBColor(120, 120, 120)),
    ("pgbench/provisioning/", "PostgreSQL: hand-written provisioning (pgbench)", RGBColor(190, 150, 60)),
    ("stock/provision/", "stock cqrs-es + postgres-es", RGBColor(200, 80, 80)),
    ("postgres/provision/", "Tenure on PostgreSQL, waiting for views", RGBColor(40, 90, 200)),
    ("postgres/respond-async/", "Tenure on PostgreSQL, respond-async", RGBColor(120, 170, 240)),
    ("sqlite/provision/", "Tenure on SQLite, waiting for views", RGBColor(30, 140, 90)),
];

/// Draws what was measured.
///
/// # Errors
/// The file can't be written.
pub fn write(results: &Results, path: &Path) -> anyhow::Result<()> {
    let points = |prefix: &str| -> Vec<(f64, f64)> {
        let runs = results.runs().iter();
        let points = runs.filter_map(|(name, run)| Some((name.strip_prefix(prefix)?.parse().ok()?, run.per_second)));
        points.collect()
    };
    let most = LINES.iter().flat_map(|(prefix, _, _)| points(prefix)).map(|(_, rate)| rate).fold(1.0, f64::max);
    let drawn = || -> Result<(), Box<dyn std::error::Error>> {
        let area = SVGBackend::new(path, (900, 480)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d((1.0..256.0_f64).log_scale(), 0.0..most * 1.1)?;
        chart.configure_mesh().x_desc("clients").y_desc("commands per second").draw()?;
        for (prefix, label, color) in LINES {
            let points = points(prefix);
            if points.is_empty() {
                continue;
            }
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, color.filled())))?;
            chart
                .draw_series(LineSeries::new(points, color.stroke_width(2)))?
                .label(*label)
                .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        }
        let labels = SeriesLabelPosition::UpperLeft;
        chart.configure_series_labels().position(labels).background_style(WHITE.mix(0.8)).draw()?;
        area.present()?;
        Ok(())
    };
    drawn().map_err(|error| anyhow!("{} can't be drawn: {error}", path.display()))
}
