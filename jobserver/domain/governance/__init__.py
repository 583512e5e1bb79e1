"""What projects and people may use, and until when. Pure; part of the documents of projects and users.

analysis_scope  the data that a project may use beyond the usual
project_limits  a project's number, status, end and limits: what they may be, and what changes them
endings         what of this will soon end
readers         who may read a project, where reading is limited
refusals        why a person cannot request jobs of a project on a backend
"""
