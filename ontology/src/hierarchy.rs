//! The is-a hierarchy: who lies beneath whom, answered without walking.
//!
//! Concepts are numbered in preorder of a spanning tree, so most of what lies beneath a concept has
//! consecutive numbers; each concept keeps its descendants as sorted ranges (interval labels of a transitive
//! closure, after Agrawal, Borgida and Jagadish, SIGMOD 1989). A tree needs one range a concept; every
//! further parent adds about one range to the concepts above it. Memory follows the tangle of the hierarchy,
//! not the square of its size.

use std::collections::BinaryHeap;

use crate::concept::ConceptId;

/// How many ranges all concepts may need together: 8 bytes each. SNOMED CT needs some millions.
const MAX_RANGES: usize = 1 << 26;

/// A set of concepts as sorted ranges of their numbers; cheap to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConceptSet<'a> {
    ranges: &'a [(u32, u32)],
}

impl<'a> ConceptSet<'a> {
    /// Whether the concept belongs to the set.
    #[must_use]
    pub fn contains(&self, concept: ConceptId) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= concept.get());
        after > 0 && concept.get() <= self.ranges[after - 1].1
    }

    /// Its concepts, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = ConceptId> + 'a {
        self.ranges.iter().flat_map(|(first, last)| (*first..=*last).map(ConceptId::new))
    }

    /// How many concepts it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.iter().map(|(first, last)| (last - first) as usize + 1).sum()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges of numbers, both ends included, sorted, with gaps between them.
    #[must_use]
    pub fn ranges(&self) -> &'a [(u32, u32)] {
        self.ranges
    }
}

/// Why a graph is no hierarchy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HierarchyFault {
    /// These lie above themselves; in input numbers, each a parent of the one before it.
    Cycle(Vec<u32>),
    /// The closure needs more than [`MAX_RANGES`] ranges.
    Tangled,
}

/// Parents, children and closure over numbers `0..n` in preorder.
#[derive(Debug, Default)]
pub(crate) struct Hierarchy {
    children: Lists<u32>,
    closure: Lists<(u32, u32)>,
}

/// One list a concept, end to end in one vector.
#[derive(Debug, Default)]
struct Lists<T> {
    ends: Vec<u32>,
    items: Vec<T>,
}

impl Hierarchy {
    /// Numbers the concepts: the input number of each, in preorder. Siblings keep the order of the input.
    pub(crate) fn preorder(parents: &[Vec<u32>]) -> Result<Vec<u32>, HierarchyFault> {
        let order = topological(parents)?;
        let children = Lists::invert(parents);
        let mut seen = vec![false; parents.len()];
        let mut numbered = Vec::with_capacity(parents.len());
        let roots = (0..parents.len() as u32).filter(|c| parents[*c as usize].is_empty());
        let mut stack: Vec<u32> = Vec::new();
        for root in roots {
            stack.push(root);
            while let Some(concept) = stack.pop() {
                if std::mem::replace(&mut seen[concept as usize], true) {
                    continue;
                }
                numbered.push(concept);
                stack.extend(children.of(concept).iter().rev().filter(|c| !seen[**c as usize]));
            }
        }
        debug_assert_eq!(numbered.len(), order.len());
        Ok(numbered)
    }

    /// The closure over parents given in preorder numbers.
    pub(crate) fn build(parents: &[Vec<u32>]) -> Result<Self, HierarchyFault> {
        let children = Lists::invert(parents);
        let order = topological(parents)?;
        let mut of: Vec<Vec<(u32, u32)>> = vec![Vec::new(); parents.len()];
        let mut total = 0;
        for concept in order.into_iter().rev() {
            let beneath = children.of(concept).iter().flat_map(|child| of[*child as usize].iter().copied());
            let merged = merge(std::iter::once((concept, concept)).chain(beneath).collect());
            total += merged.len();
            if total > MAX_RANGES {
                return Err(HierarchyFault::Tangled);
            }
            of[concept as usize] = merged;
        }
        Ok(Self { children, closure: Lists::new(of) })
    }

    pub(crate) fn children(&self, concept: ConceptId) -> &[u32] {
        self.children.of(concept.get())
    }

    pub(crate) fn descendants(&self, concept: ConceptId) -> ConceptSet<'_> {
        ConceptSet { ranges: self.closure.of(concept.get()) }
    }

    /// How many ranges all concepts need together.
    pub(crate) fn ranges(&self) -> usize {
        self.closure.items.len()
    }
}

impl<T> Lists<T> {
    fn new(of: Vec<Vec<T>>) -> Self {
        let mut lists = Self { ends: Vec::with_capacity(of.len()), items: Vec::new() };
        for items in of {
            lists.items.extend(items);
            lists.ends.push(lists.items.len() as u32);
        }
        lists
    }

    /// The list of a number; empty for a number that has none.
    fn of(&self, number: u32) -> &[T] {
        let number = number as usize;
        let Some(end) = self.ends.get(number) else { return &[] };
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.items[start as usize..*end as usize]
    }
}

impl Lists<u32> {
    /// Children by parent, from parents by child; each list sorted.
    fn invert(parents: &[Vec<u32>]) -> Self {
        let mut ends = vec![0; parents.len()];
        parents.iter().flatten().for_each(|parent| ends[*parent as usize] += 1);
        let mut total = 0;
        for end in &mut ends {
            total += std::mem::replace(end, total);
        }
        // For now each end is the start of its list, and moves on as the list fills.
        let mut items = vec![0; total as usize];
        for (child, parents) in parents.iter().enumerate() {
            for parent in parents {
                let next = &mut ends[*parent as usize];
                items[*next as usize] = child as u32;
                *next += 1;
            }
        }
        Self { ends, items }
    }
}

fn merge(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len().min(8));
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(open) if first <= open.1.saturating_add(1) => open.1 = open.1.max(last),
            Some(_) | None => merged.push((first, last)),
        }
    }
    merged.shrink_to_fit();
    merged
}

/// Parents before children; the smallest number first where the order is free.
fn topological(parents: &[Vec<u32>]) -> Result<Vec<u32>, HierarchyFault> {
    use std::cmp::Reverse;
    let children = Lists::invert(parents);
    let mut waiting: Vec<usize> = parents.iter().map(Vec::len).collect();
    let mut ready: BinaryHeap<Reverse<u32>> =
        (0..parents.len() as u32).filter(|c| waiting[*c as usize] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(parents.len());
    while let Some(Reverse(concept)) = ready.pop() {
        order.push(concept);
        for child in children.of(concept) {
            waiting[*child as usize] -= 1;
            if waiting[*child as usize] == 0 {
                ready.push(Reverse(*child));
            }
        }
    }
    if order.len() == parents.len() {
        Ok(order)
    } else {
        Err(HierarchyFault::Cycle(cycle(parents, &waiting)))
    }
}

/// One cycle among the concepts that still wait for a parent.
fn cycle(parents: &[Vec<u32>], waiting: &[usize]) -> Vec<u32> {
    let blocked = |c: &u32| waiting[*c as usize] > 0;
    let mut path: Vec<u32> = (0..parents.len() as u32).find(blocked).into_iter().collect();
    let mut place = vec![usize::MAX; parents.len()];
    while let Some(concept) = path.last().copied() {
        if place[concept as usize] != usize::MAX {
            return path[place[concept as usize]..path.len() - 1].to_vec();
        }
        place[concept as usize] = path.len() - 1;
        match parents[concept as usize].iter().find(|p| blocked(p)) {
            Some(parent) => path.push(*parent),
            None => break,
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_needs_one_range_a_concept() {
        let hierarchy = Hierarchy::build(&[vec![], vec![0], vec![1], vec![0]]).unwrap();
        assert_eq!(hierarchy.ranges(), 4);
        assert_eq!(hierarchy.descendants(ConceptId::new(0)).len(), 4);
        assert_eq!(hierarchy.descendants(ConceptId::new(1)).ranges(), [(1, 2)]);
    }

    #[test]
    fn a_second_parent_sees_its_child() {
        // 0 -> 1 -> 2, 0 -> 3, 3 -> 2
        let hierarchy = Hierarchy::build(&[vec![], vec![0], vec![1, 3], vec![0]]).unwrap();
        let under_3: Vec<u32> = hierarchy.descendants(ConceptId::new(3)).iter().map(ConceptId::get).collect();
        assert_eq!(under_3, [2, 3]);
        assert!(!hierarchy.descendants(ConceptId::new(1)).contains(ConceptId::new(3)));
    }

    #[test]
    fn a_cycle_is_named_without_the_concepts_beneath_it() {
        let parents = [vec![3], vec![0], vec![1], vec![1], vec![]];
        let Err(HierarchyFault::Cycle(mut cycle)) = Hierarchy::build(&parents) else {
            panic!("no cycle found")
        };
        cycle.sort_unstable();
        assert_eq!(cycle, [0, 1, 3]);
    }
}
