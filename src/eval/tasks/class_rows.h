#pragma once
#include "eval/tasks/class_answers.h"
#include "eval/tasks/task.h"

namespace nibble::eval {

/// The rows "same answer" and "KL divergence", and their JSON.
void add_agreement(const ClassAnswers& answers, TaskResult& result);
/// What share of the answers changed, in percent.
double changed_percent(const ClassAnswers& answers);

}  // namespace nibble::eval
