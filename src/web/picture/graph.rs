//! A graph of dependencies, as boxes from left to right.

use crate::web::view;

/// The maximum number of characters of a name in a box.
const LETTERS: usize = 15;
const BOX: (usize, usize) = (124, 30);
const GAP: (usize, usize) = (44, 12);

/// The box of a container or stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The left edge.
    pub x: usize,
    /// The upper edge.
    pub y: usize,
    /// The name, cut to fit into the box.
    pub name: String,
    /// The whole name.
    pub title: String,
    /// The number in the order of starting, from 1.
    pub wave: u32,
}

/// A line from one box to another, as SVG path data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line(pub String);

/// A graph of dependencies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    pub nodes: Vec<Node>,
    /// The lines, each from a dependency to its dependant.
    pub lines: Vec<Line>,
    /// The width of the drawing.
    pub width: usize,
    /// The height of the drawing.
    pub height: usize,
    /// The drawing in words: `Wakes in this order: 1: db, cache; 2: api; 3: web`.
    pub title: String,
    /// The drawing as a list: the names of each wave.
    pub waves: Vec<Vec<String>>,
}

impl Graph {
    /// The graph of `nodes` (name and wave, from 1) and `edges` (dependant and dependency, as indexes of nodes); `None`
    /// without edges.
    pub fn new(nodes: &[(String, u32)], edges: &[(usize, usize)]) -> Option<Self> {
        if edges.is_empty() {
            return None;
        }
        let layers = nodes.iter().map(|(_, wave)| *wave).max().unwrap_or(1);
        let mut waves: Vec<Vec<usize>> = vec![Vec::new(); layers as usize];
        for (index, (_, wave)) in nodes.iter().enumerate() {
            waves[(*wave).max(1) as usize - 1].push(index);
        }
        waves.retain(|wave| !wave.is_empty());
        let tallest = waves.iter().map(Vec::len).max().unwrap_or(1);
        let height = tallest * (BOX.1 + GAP.1) - GAP.1;
        let mut at = vec![(0, 0); nodes.len()];
        let mut boxes = Vec::new();
        for (column, wave) in waves.iter().enumerate() {
            let own = wave.len() * (BOX.1 + GAP.1) - GAP.1;
            for (row, index) in wave.iter().enumerate() {
                let (x, y) = (column * (BOX.0 + GAP.0) + 1, (height - own) / 2 + row * (BOX.1 + GAP.1) + 1);
                at[*index] = (x, y);
                let title = view::shown_name(&nodes[*index].0);
                boxes.push(Node {
                    x,
                    y,
                    name: short(&title),
                    title,
                    wave: u32::try_from(column + 1).unwrap_or(u32::MAX),
                });
            }
        }
        let lines = edges
            .iter()
            .map(|(dependant, dependency)| {
                let ((to_x, to_y), (from_x, from_y)) = (at[*dependant], at[*dependency]);
                let (x1, y1, x2, y2) = (from_x + BOX.0, from_y + BOX.1 / 2, to_x, to_y + BOX.1 / 2);
                let middle = usize::midpoint(x1, x2);
                Line(format!("M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"))
            })
            .collect();
        let waves: Vec<Vec<String>> = waves
            .into_iter()
            .map(|wave| wave.into_iter().map(|index| view::shown_name(&nodes[index].0)).collect())
            .collect();
        let lists: Vec<String> = waves
            .iter()
            .enumerate()
            .map(|(wave, names)| format!("{}: {}", wave + 1, names.join(", ")))
            .collect();
        Some(Self {
            nodes: boxes,
            lines,
            width: waves.len() * (BOX.0 + GAP.0) - GAP.0 + 2,
            height: height + 2,
            title: format!("Wakes in this order: {}", lists.join("; ")),
            waves,
        })
    }
}

fn short(name: &str) -> String {
    match name.char_indices().nth(LETTERS) {
        Some(_) => name.chars().take(LETTERS - 1).chain(['…']).collect(),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_goes_from_left_to_right() {
        let node = |name: &str, wave| (name.to_owned(), wave);
        let nodes = [node("db", 1), node("cache", 1), node("api", 2), node("a-service-with-a-long-name", 3)];
        let graph = Graph::new(&nodes, &[(2, 0), (2, 1), (3, 2)]).expect("a graph");
        assert_eq!(graph.waves, [vec!["db", "cache"], vec!["api"], vec!["a-service-with-a-long-name"]]);
        assert_eq!((graph.nodes.len(), graph.lines.len()), (4, 3));
        assert!(graph.nodes[0].x < graph.nodes[2].x && graph.nodes[2].x < graph.nodes[3].x);
        assert_eq!(graph.nodes[3].name, "a-service-with…");
        assert!(graph.title.ends_with("1: db, cache; 2: api; 3: a-service-with-a-long-name"));
        assert_eq!(Graph::new(&[("db".to_owned(), 1)], &[]), None);
    }
}
